// A measuring process beside the rig: what the rig is busy with does not disturb it. It answers one question at a time.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

import { recordProcess } from "../lib/run-dir.ts";

/** A process that answers questions of type Q by name. */
export type Companion<Answers extends Readonly<Record<string, unknown>>> = {
  readonly pid: number;
  /** `given`: what the question is about, where it has to say so. */
  readonly ask: <Name extends keyof Answers & string>(question: Name, given?: string) => Promise<Answers[Name]>;
  readonly stop: () => Promise<void>;
};

const ANSWER_MS = 30_000;

/** Starts `scripts/faults/FILE` with an IPC channel; the process ends when this one does. `wrap`: a program that runs it, such as
 *  `unshare --net`. */
export async function startCompanion<Answers extends Readonly<Record<string, unknown>>>(
  runDir: string,
  file: string,
  args: readonly string[] = [],
  wrap: readonly string[] = [],
): Promise<Companion<Answers>> {
  const [command = process.execPath, ...rest] = [...wrap, process.execPath, join(import.meta.dirname, file), ...args];
  const child = spawn(command, rest, { stdio: ["ignore", "inherit", "inherit", "ipc"], detached: true });
  child.on("error", () => undefined); // told by what waits for an answer
  if (child.pid !== undefined) await recordProcess(runDir, child.pid);
  const ask = (question: string, given?: string): Promise<unknown> => askOnce(child, file, question, given);
  try {
    await ask("hello");
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };
  return { pid: child.pid ?? 0, ask: ask as Companion<Answers>["ask"], stop };
}

let questions = 0;

async function askOnce(child: ChildProcess, file: string, question: string, given?: string): Promise<unknown> {
  const id = (questions += 1);
  const limit = AbortSignal.timeout(ANSWER_MS);
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const onMessage = (message: { id: number; answer: unknown }): void => {
    if (message.id === id) resolve(message.answer);
  };
  const onEnd = (): void => reject(new Error(`Cannot ask ${file} for "${question}": it has ended`));
  const onLimit = (): void => reject(new Error(`Cannot get an answer of ${file} to "${question}" within ${ANSWER_MS / 1_000} s`));
  child.on("message", onMessage);
  child.once("exit", onEnd);
  limit.addEventListener("abort", onLimit, { once: true });
  try {
    if (child.exitCode !== null || child.signalCode !== null) onEnd();
    else child.send({ id, question, given }, (error) => error && reject(error));
    return await promise;
  } finally {
    child.off("message", onMessage);
    child.off("exit", onEnd);
    limit.removeEventListener("abort", onLimit);
  }
}

/** The companion's side: answers until the channel closes, which is the end of the process. */
export function answerQuestions<Answers extends Readonly<Record<string, unknown>>>(answers: {
  readonly [Name in keyof Answers]: (given?: string) => Answers[Name] | Promise<Answers[Name]>;
}): void {
  const all: Readonly<Record<string, (given?: string) => unknown>> = { ...answers, hello: () => true };
  process.on("message", ({ id, question, given }: { id: number; question: string; given?: string }) => {
    void Promise.resolve(all[question]?.(given)).then((answer) => process.send?.({ id, answer }));
  });
  process.once("disconnect", () => process.exit(0));
}
