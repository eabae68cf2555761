import { retryDelayMs } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { EngineUnreachableError, StoreUnreachableError } from "../core/errors.ts";
import type { BotId } from "../core/ids.ts";
import type { RunRecord } from "../core/records.ts";
import { type BotReader, pickReading } from "../document/pick-reading.ts";
import { lastLines } from "./bot-log.ts";
import { missing } from "./command-context.ts";
import type { BotLogs, ContainerLog, UserBots } from "./ports.ts";
import { unseenOf } from "./unseen.ts";

/** How often to look for the next container, in ms. */
const POLL_MS = 500;
/** How long the record of a run may come after its container is gone, in ms. */
const RECORD_LIMIT_MS = 5_000;
/** Runs that may come and go between two looks and are still shown. */
const RUNS = 10;
/** As much as the record of a run keeps of its output. */
const RECORD_BYTES = 16 * 1024;
/** Runs and containers that are remembered as shown. */
const REMEMBERED = 200;

export type FollowPorts = {
  readonly bots: UserBots;
  readonly logs: BotLogs;
  readonly read: BotReader;
  readonly clock: Clock;
  /** One line for the person, not among the bot's own. */
  readonly note: (lines: readonly string[]) => void;
  readonly write: (text: Buffer) => Promise<void>;
  /** Ends the following, which is no fault. */
  readonly signal: AbortSignal;
};

/** Shows what a bot writes, container after container, until the signal aborts or the bot is not to run any more and its
 *  container is gone. An Engine or a MongoDB that is away is waited for. @throws {CommandError} for a bot that does not exist */
export async function followLog(id: BotId, tail: number, ports: FollowPorts): Promise<void> {
  try {
    await new Follower(id, tail, ports).run();
  } catch (error) {
    if (!ports.signal.aborted) throw error;
  }
}

type Part = "engine" | "store";

class Follower {
  readonly #id: BotId;
  readonly #tail: number;
  readonly #ports: FollowPorts;
  /** Ids of containers, which are those of runs. */
  readonly #shown = new Set<string>();
  /** The end of what was written of the container in hand: tells which of its last lines are missing. */
  #end = Buffer.alloc(0);
  readonly #away = new Set<Part>();
  #attempt = 0;

  constructor(id: BotId, tail: number, ports: FollowPorts) {
    this.#id = id;
    this.#tail = tail;
    this.#ports = ports;
  }

  async run(): Promise<void> {
    const { clock, signal, logs } = this.#ports;
    await this.#begin();
    for (;;) {
      const found = await this.#persist("engine", () => logs.find(this.#id));
      await this.#showMissed(found?.id);
      if (found !== undefined && !this.#shown.has(found.id)) {
        this.#note(`--- container ${short(found.id)}`);
        await this.#follow(found.id, found.open(undefined), true);
        continue;
      }
      const end = found === undefined ? await this.#whyOver() : undefined;
      if (end !== undefined) return this.#note(`--- no more output: ${end}`);
      await clock.sleep(POLL_MS, signal);
    }
  }

  /** The past: the container's last lines, or where there is none those of its last run. */
  async #begin(): Promise<void> {
    const { bots, logs } = this.#ports;
    const found = await this.#persist("engine", () => logs.find(this.#id));
    const runs = await this.#persist("store", () => bots.runs(this.#id, RUNS));
    for (const run of runs) if (run._id !== found?.id) this.#remember(run._id);
    if (found !== undefined) return this.#follow(found.id, found.open(this.#tail), false);
    const [last] = runs;
    if (last === undefined && (await this.#persist("store", () => bots.getBot(this.#id))).length === 0) throw missing(this.#id);
    const text = lastLines(last?.log ?? "", this.#tail);
    if (text !== "") await this.#write(Buffer.from(`${text}\n`));
    this.#note(last === undefined ? "--- no container yet" : `--- no container: ${runText(last)}`);
  }

  async #follow(container: string, log: ContainerLog, isWhole: boolean): Promise<void> {
    this.#remember(container);
    this.#end = Buffer.alloc(0);
    const write = async (text: Buffer): Promise<void> => {
      await this.#write(text);
      this.#attempt = 0;
      this.#end = Buffer.concat([this.#end, text]).subarray(-RECORD_BYTES);
    };
    const how = await this.#persist("engine", async () => {
      // A bot with nothing to say would leave it open whether the Engine is back.
      if (this.#away.has("engine")) this.#answered("engine", await this.#ports.logs.find(this.#id));
      return log.follow(write, this.#ports.signal);
    });
    const run = await this.#recordOf(container);
    // A container that was removed under our eyes: the runtime read its last lines before that.
    if (how === "gone" && run !== undefined) await this.#write(unseenOf(this.#end, Buffer.from(run.log), isWhole));
    this.#note(run === undefined ? `--- container ${short(container)} has ended` : `--- ${runText(run)}`);
  }

  /** What the runtime recorded of a run that has just ended; it may take a moment. */
  async #recordOf(container: string): Promise<RunRecord | undefined> {
    const { bots, clock, signal } = this.#ports;
    for (const began = clock.mono(); clock.mono() - began < RECORD_LIMIT_MS;) {
      const runs = await this.#tryStore(() => bots.runs(this.#id, RUNS));
      const run = runs?.find(({ _id }) => _id === container);
      if (run !== undefined) return run;
      await clock.sleep(POLL_MS / 2, signal);
    }
    return undefined;
  }

  /** Runs that came and went between two looks, from what is recorded of them. */
  async #showMissed(current: string | undefined): Promise<void> {
    const { bots } = this.#ports;
    const isMissed = ({ _id }: RunRecord) => !this.#shown.has(_id) && _id !== current;
    const newest = await this.#tryStore(() => bots.runs(this.#id, 1));
    if (newest === undefined || !newest.some(isMissed)) return;
    for (const run of ((await this.#tryStore(() => bots.runs(this.#id, RUNS))) ?? []).filter(isMissed).toReversed()) {
      this.#remember(run._id);
      this.#note(`--- container ${short(run._id)}, as recorded`);
      await this.#write(Buffer.from(run.log));
      this.#note(`--- ${runText(run)}`);
    }
  }

  /** Why nothing more will come; undefined: something may. */
  async #whyOver(): Promise<string | undefined> {
    const { bots, read } = this.#ports;
    const found = await this.#tryStore(() => bots.getBot(this.#id));
    if (found === undefined) return undefined;
    const reading = pickReading(found, read);
    if (reading === undefined) return "the bot is deleted";
    if (reading.kind === "invalid") return undefined; // somebody is about to correct it
    if (!reading.enabled) return "the bot is disabled";
    const status = await this.#tryStore(() => bots.status(this.#id));
    const isOver = status?.spec === reading.hash && (status.state === "completed" || status.state === "failed");
    return isOver ? `the bot has ${status.state}` : undefined;
  }

  /** Asks until there is an answer. */
  async #persist<T>(part: Part, ask: () => Promise<T>): Promise<T> {
    const { clock, signal } = this.#ports;
    for (;;) {
      signal.throwIfAborted();
      try {
        const answer = this.#answered(part, await ask());
        this.#attempt = 0;
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof EngineUnreachableError || error instanceof StoreUnreachableError)) throw error;
        this.#lost(part, error);
        await clock.sleep(
          retryDelayMs(this.#attempt++, () => 0.5),
          signal,
        );
      }
    }
  }

  /** The answer if MongoDB gives one. What runs is followed without it. */
  async #tryStore<T>(ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return this.#answered("store", await ask());
    } catch (error) {
      if (!(error instanceof StoreUnreachableError)) throw error;
      this.#lost("store", error);
      return undefined;
    }
  }

  #lost(part: Part, error: Error): void {
    if (!this.#away.has(part)) this.#note(`--- ${error.message}: trying again`);
    this.#away.add(part);
  }

  #answered<T>(part: Part, answer: T): T {
    if (this.#away.delete(part)) this.#note(`--- ${part === "engine" ? "the Docker Engine" : "MongoDB"} answers again`);
    return answer;
  }

  async #write(text: Buffer): Promise<void> {
    if (text.length > 0) await this.#ports.write(text);
    this.#ports.signal.throwIfAborted();
  }

  #note(line: string): void {
    this.#ports.note([line]);
  }

  #remember(container: string): void {
    this.#shown.add(container);
    for (const oldest of this.#shown) {
      if (this.#shown.size <= REMEMBERED) break;
      this.#shown.delete(oldest);
    }
  }
}

function runText({ _id, exit, oom, endedWhy }: RunRecord): string {
  return `container ${short(_id)} ended with exit ${exit}${oom === "no" ? "" : ", out of memory"} (${endedWhy})`;
}

function short(container: string): string {
  return container.slice(0, 12);
}
