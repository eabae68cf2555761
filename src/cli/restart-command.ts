import type { Command } from "commander";
import type { BotId } from "../core/ids.ts";
import type { StatusRecord } from "../core/records.ts";
import { pickReading } from "../document/pick-reading.ts";
import { type CommandContext, idOf, missing, type Output, seconds, type Session } from "./command-context.ts";
import { CommandError, EXIT } from "./exit-codes.ts";
import { outputOption } from "./options.ts";
import type { CliDeps } from "./ports.ts";

const POLL_MS = 250;
type Options = Output & { readonly wait?: true; readonly timeout: number };
type Valid = Extract<NonNullable<ReturnType<typeof pickReading>>, { kind: "valid" }>;

export function addRestartCommand(parent: Command, { deps, print, printJson, withBots }: CommandContext): void {
  parent
    .command("restart")
    .description("stop a bot and, proven stopped, start it anew; also one that has completed or failed")
    .argument("<bot>", "the bot's _id")
    .option("--wait", "until it runs in its new container")
    .option("--timeout <seconds>", "how long to wait", seconds, 60)
    .addOption(outputOption())
    .action(async (bot: string, { output, wait, timeout }: Options) =>
      withBots(async (session) => {
        const id = idOf(bot);
        const reading = await readRunnable(id, session);
        const status = await session.bots.status(id);
        const restartedAt = deps.clock.wall().toISOString();
        if (!(await session.bots.setRestartedAt(id, restartedAt))) throw missing(id);
        const tell = (text: string) => void (output === "table" && print(`${text}\n`));
        tell(`${JSON.stringify(id)} restarts: ${whatFollows(reading, status)}`);
        const state = wait === true ? await untilRunning(id, timeout, session, deps) : undefined;
        if (state !== undefined) tell(`${JSON.stringify(id)} ${state}`);
        if (output === "json") printJson({ bot: id, restartedAt, result: state ?? "restarting" });
      }),
    )
    .addHelpText(
      "after",
      "\nWrites the field restartedAt of the bot's document, with your own rights.\n\nExamples:\n  runtime bots restart ticker\n  runtime bots restart ticker --wait --timeout 120",
    );
}

/** @throws {CommandError} for a bot that a restart would not start */
async function readRunnable(id: BotId, { bots, read }: Session): Promise<Valid> {
  const reading = pickReading(await bots.getBot(id), read);
  if (reading === undefined) throw missing(id);
  const name = JSON.stringify(id);
  if (reading.kind === "invalid")
    throw new CommandError(`Cannot restart the bot ${name}, it is invalid:\n${reading.faults.join("\n")}\nNothing was written`, EXIT.data);
  if (!reading.enabled)
    throw new CommandError(`Cannot restart the bot ${name}, it is disabled: runtime bots enable it. Nothing was written`, EXIT.failure);
  return reading;
}

function whatFollows({ spec }: Valid, status: StatusRecord | undefined): string {
  const state = status?.state;
  if (state === "running" || state === "starting")
    return `its container is stopped (SIGTERM, at most ${spec.stopGraceSeconds} s of grace) and, proven gone, a new one starts`;
  if (state === "backoff") return "its back-off ends and it starts now";
  if (state === "completed" || state === "failed") return `it has ${state} and starts once more`;
  return "it starts as soon as its owner sees this";
}

/** The state in which the bot arrived under its document as it now stands. @throws {CommandError} when it does not run in time */
async function untilRunning(id: BotId, limitSeconds: number, session: Session, { clock }: CliDeps): Promise<string> {
  const never = new AbortController().signal;
  for (const began = clock.mono(); ;) {
    // Its document may change again meanwhile: what counts is the one that stands.
    const { hash } = await readRunnable(id, session);
    const status = await session.bots.status(id);
    const isNew = status?.spec === hash;
    if (isNew && (status.state === "running" || status.state === "completed")) return status.state;
    if (isNew && status.state === "failed")
      throw new CommandError(`Cannot say that ${JSON.stringify(id)} runs: it has failed in its new container`, EXIT.failure);
    if (clock.mono() - began >= limitSeconds * 1_000) {
      const now = status === undefined ? "no runtime has reported it" : `it is ${status.state}${status.message && `, ${status.message}`}`;
      throw new CommandError(
        `Cannot say that ${JSON.stringify(id)} runs: after ${limitSeconds} s ${now}; runtime bots explain tells more`,
        EXIT.failure,
      );
    }
    await clock.sleep(POLL_MS, never);
  }
}
