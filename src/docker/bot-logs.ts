import type { IncomingMessage } from "node:http";
import type { BotLogs, ContainerLog } from "../cli/ports.ts";
import type { Clock } from "../core/clock.ts";
import { EngineRefusedError, EngineUnreachableError } from "../core/errors.ts";
import { containerName } from "../core/ids.ts";
import { DockerClient } from "./client.ts";
import { inspectContainer } from "./inspect-container.ts";
import { LogFrameReader } from "./log-frames.ts";
import { LogPlace } from "./log-place.ts";
import { readInspected } from "./read-container.ts";

/** An answer that is silent for so long, while we wait for it, is none, in ms. */
const SILENT_MS = 30_000;
/** How often to ask for more, in ms. */
const POLL_MS = 250;
/** Lines that are asked for at first: the Engine reads them from the end of its file, but all of it for a `since`. As many
 *  are looked at before the first question, to know one's place. */
const LAST = 1_000;
/** Where they are too few, so many times as many, up to what a place remembers. */
const MORE = 4;
const MOST = 16_000;

/** `gap`: it does not begin where we stopped. */
type Reply = "over" | "gap" | "gone";
type Write = (text: Buffer) => Promise<void>;
/** Gets lines as they come: many at a time, for each write costs as much as some hundred lines do. */
type Take = (lines: readonly Buffer[]) => Promise<void>;

/** The output of bots on one Docker Engine, for people who watch it. @throws {ConfigurationError} for a wrong `dockerHost`. */
export function openBotLogs({ dockerHost, clock }: { readonly dockerHost: string | undefined; readonly clock: Clock }): BotLogs {
  const client = new DockerClient(dockerHost, clock);
  return {
    async find(bot) {
      const found = await inspectContainer(client, containerName(bot));
      const actual = found && readInspected(bot, found);
      if (actual?.kind !== "ours") return undefined;
      const { id } = actual.container;
      return { id, open: (tail) => new EngineLog(client, clock, id, tail) };
    },
    close: () => client.close(),
  };
}

/** Asks again and again instead of using the Engine's own `follow`: that was seen (20.10.24) to tell hundreds of lines
 *  twice where the log is rotated, and under load to leave out a whole file of 5 MB. An answer that ends is a reading of
 *  all files under the Engine's lock. */
class EngineLog implements ContainerLog {
  readonly #client: DockerClient;
  readonly #clock: Clock;
  readonly #id: string;
  readonly #place: LogPlace;
  /** Lines of the past that are still to be shown; undefined once that is done. */
  #tail: number | undefined;
  /** The last of them, where fewer are wanted than are looked at. */
  readonly #few: Buffer[] = [];
  /** Of the last lines so many are asked for: a bot that has written much will. */
  #last = LAST;
  /** Lines of the answer in hand that were new. */
  #fresh = 0;

  constructor(client: DockerClient, clock: Clock, id: string, tail: number | undefined) {
    this.#client = client;
    this.#clock = clock;
    this.#id = id;
    this.#tail = tail;
    this.#place = new LogPlace(tail === undefined);
  }

  async follow(write: Write, signal: AbortSignal): Promise<"ended" | "gone"> {
    if (this.#tail !== undefined) {
      if (!(await this.#readTail(this.#tail, write, signal))) return "gone";
      this.#tail = undefined;
    }
    for (;;) {
      // Asked before the log is read: what a run wrote to its end is in the reading that follows its end.
      const state = (await inspectContainer(this.#client, this.#id))?.State.Status;
      if (state === undefined || state === "removing" || !(await this.#readOn(write, signal))) return "gone";
      if (state === "exited" || state === "dead") return "ended";
      await this.#clock.sleep(POLL_MS, signal);
    }
  }

  async #readTail(tail: number, write: Write, signal: AbortSignal): Promise<boolean> {
    const keep: Take = async (lines) => {
      this.#few.push(...lines);
      this.#few.splice(0, this.#few.length - tail);
    };
    // A tail that broke off goes on from where it came to.
    const query = this.#place.isEmpty ? { tail: Math.max(tail, LAST) } : { since: this.#place.resume() };
    const reply = await this.#ask(query, tail < LAST ? keep : joining(write), signal);
    for (const text of this.#few.splice(0)) await write(text);
    return reply !== "gone";
  }

  /** Reads what is new. False: there is no log any more. */
  async #readOn(write: Write, signal: AbortSignal): Promise<boolean> {
    for (; !this.#place.isEmpty; this.#last = Math.min(MOST, MORE * this.#last)) {
      const tail = this.#last;
      const reply = await this.#ask({ tail, since: this.#place.resumeNear(tail) }, joining(write), signal, true);
      if (reply !== "gap") {
        this.#last = Math.max(LAST, Math.min(MOST, 2 * this.#fresh));
        return reply !== "gone";
      }
      if (tail >= MOST) break;
    }
    const since = this.#place.resume();
    return (await this.#ask(since === undefined ? {} : { since }, joining(write), signal)) !== "gone";
  }

  /** @param joined refuse an answer whose first line is not known yet: something is missing before it */
  async #ask(query: object, take: Take, signal: AbortSignal, joined = false): Promise<Reply> {
    this.#fresh = 0;
    const what = `read the log of container "${this.#id}"`;
    const late = new AbortController();
    const request = {
      what,
      method: "GET",
      path: `/containers/${this.#id}/logs`,
      query: { stdout: 1, stderr: 1, timestamps: 1, ...query },
      signal: AbortSignal.any([signal, late.signal]),
    } as const;
    const begun = new AbortController();
    // Not by a limit on the whole: a reader may take its time.
    const overdue = this.#clock.sleep(SILENT_MS, AbortSignal.any([signal, begun.signal])).then(
      () => late.abort(new EngineUnreachableError(`Cannot ${what}: no answer within ${SILENT_MS / 1_000} s`)),
      () => {},
    );
    try {
      return await this.#client.stream(request, (body) => {
        begun.abort();
        return this.#read(body, take, signal, joined);
      });
    } catch (error) {
      if (!(error instanceof EngineRefusedError)) throw error;
      // 409: dead or marked for removal.
      if (error.status === 404 || error.status === 409) return "gone";
      if (error.status < 500) throw error;
      throw new EngineUnreachableError(error.message, { cause: error }); // a daemon that starts or ends
    } finally {
      begun.abort();
      await overdue;
    }
  }

  /** Takes one chunk at a time and waits until it is written: a slow reader slows the Engine, not our memory down. */
  async #read(body: IncomingMessage, take: Take, signal: AbortSignal, joined: boolean): Promise<Reply> {
    const reader = new LogFrameReader();
    const chunks = (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    let isJoined = !joined;
    for (;;) {
      const chunk = await this.#soon(chunks.next(), signal);
      if (chunk.done === true) return isJoined ? "over" : "gap";
      signal.throwIfAborted();
      const frames = reader.push(chunk.value);
      const [first] = frames;
      if (first !== undefined && !isJoined && !this.#place.has(first)) return "gap";
      isJoined ||= first !== undefined;
      const lines = frames.flatMap((frame) => this.#place.take(frame) ?? []);
      this.#fresh += lines.length;
      if (lines.length > 0) await take(lines);
    }
  }

  /** @throws {EngineUnreachableError} after a silence */
  async #soon<T>(next: Promise<T>, signal: AbortSignal): Promise<T> {
    const heard = new AbortController();
    next.catch(() => {}); // after a silence nobody waits for it
    const silence = this.#clock.sleep(SILENT_MS, AbortSignal.any([signal, heard.signal])).then(() => {
      throw new EngineUnreachableError(`Cannot read the log of container "${this.#id}": no more of it within ${SILENT_MS / 1_000} s`);
    });
    try {
      return await Promise.race([next, silence]);
    } finally {
      heard.abort();
    }
  }
}

function joining(write: Write): Take {
  return (lines) => write(Buffer.concat(lines));
}
