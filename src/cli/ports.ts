import type { Config, ParsedConfig } from "../config.ts";
import type { FoundDocument } from "../core/bot.ts";
import type { Clock } from "../core/clock.ts";
import type { FoundLeadership } from "../core/election.ts";
import type { BotId, SegmentId, SessionId } from "../core/ids.ts";
import type { FleetRecord, FleetView, PlacementRecord, RunRecord, SegmentRecord, StatusRecord, WorkerRecord } from "../core/records.ts";
import type { Check } from "../doctor/finding.ts";

/** What the command line needs of MongoDB, with the user's own rights. Every method throws StoreUnreachableError when
 *  no answer came. Where an ObjectId and the string that spells it both exist, a BotId means the ObjectId. */
export interface UserBots {
  /** Every document of the user's collection, by a cursor. */
  listBots(): AsyncIterable<FoundDocument>;
  /** At most two: a string and the ObjectId that it spells. */
  getBot(id: BotId): Promise<readonly FoundDocument[]>;
  /** Makes the stored document equal to this one, inserting it if there is none. `raw` says its `_id`; what stands in
   *  `document._id` counts for nothing. A stored `restartedAt` stays unless the document names it. */
  putBot(bot: FoundDocument): Promise<"created" | "configured" | "unchanged">;
  setEnabled(id: BotId, enabled: boolean): Promise<"configured" | "unchanged" | "missing">;
  /** Asks for a new container: `at` is an ISO time. False: there is no such bot. */
  setRestartedAt(id: BotId, at: string): Promise<boolean>;
  /** False: there was none. */
  deleteBot(id: BotId): Promise<boolean>;
  statuses(): AsyncIterable<StatusRecord>;
  status(id: BotId): Promise<StatusRecord | undefined>;
  /** The newest first. */
  runs(id: BotId, limit: number): Promise<readonly RunRecord[]>;
  placement(id: BotId): Promise<PlacementRecord | undefined>;
  segment(id: SegmentId): Promise<SegmentRecord | undefined>;
  worker(id: SessionId): Promise<WorkerRecord | undefined>;
  close(): Promise<void>;
}

/** What moves while a fleet lives. */
export type FleetSigns = {
  readonly workers: readonly WorkerRecord[];
  readonly view: FleetView | undefined;
  /** Who leads, by the lease of COORDINATION=mongo. */
  readonly election: FoundLeadership | undefined;
};

/** All that the books say of a fleet. Segments are read before workers, so that whoever owns one is known. */
export type FleetLook = FleetSigns & {
  readonly fleet: FleetRecord | undefined;
  readonly term: number | undefined;
  /** Segments with at least one bot that should run. */
  readonly active: readonly SegmentId[];
  readonly segments: readonly SegmentRecord[];
};

/** The fleet's books in MongoDB, with the user's own rights: reading `runtime.*`, and for `askToDrain` writing
 *  `runtime.workers`. Every method throws StoreUnreachableError when no answer came. */
export interface FleetBooks {
  signs(): Promise<FleetSigns>;
  look(): Promise<FleetLook>;
  workers(): Promise<readonly WorkerRecord[]>;
  ownedBy(id: SessionId): Promise<readonly SegmentId[]>;
  /** The worker hears of it with its next renewal. `ended`: the session is no more, and nothing was written. */
  askToDrain(id: SessionId): Promise<"asked" | "ended">;
  close(): Promise<void>;
}

/** The output of the bots on this machine's Engine. */
export interface BotLogs {
  /** The bot's container; undefined: it has none. @throws {EngineUnreachableError} */
  find(bot: BotId): Promise<{ readonly id: string; open(tail: number | undefined): ContainerLog } | undefined>;
  close(): void;
}

/** One container's output. */
export interface ContainerLog {
  /** Hands over the last `tail` lines (undefined: all that are kept) and then what is written, until the run has ended;
   *  `gone`: its container was removed meanwhile, so that last lines may be missing. The next piece is read once `write` is
   *  through with this one. After a fault it may be called again and goes on where it stood: nothing is lost while the
   *  Engine keeps it, nothing comes twice. @throws {EngineUnreachableError} @throws `signal.reason` */
  follow(write: (text: Buffer) => Promise<void>, signal: AbortSignal): Promise<"ended" | "gone">;
}

/** What `runtime doctor` looks at. */
export type Doctor = { readonly checks: readonly Check[]; close(): Promise<void> };

export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

/** All that the command line touches. `main` gives the real ones. */
export type CliDeps = {
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: AsyncIterable<string | Uint8Array>;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Runs until it is told to stop; gives the exit code. It logs `parsed.warnings` itself. */
  readonly serve: (parsed: ParsedConfig) => Promise<number>;
  readonly openUserBots: (config: Config) => Promise<UserBots>;
  readonly openFleetBooks: (config: Config) => Promise<FleetBooks>;
  /** The last lines of the bot's container on this machine's Engine; undefined: it has none.
   *  @throws {EngineUnreachableError} */
  readonly readContainerLog: (config: Config, bot: BotId, lines: number) => Promise<string | undefined>;
  readonly openBotLogs: (config: Config) => BotLogs;
  readonly clock: Clock;
  /** From now on Ctrl-C and SIGTERM abort the signal instead of ending the process. */
  readonly listenForSignals: () => { readonly stop: AbortSignal; close(): void };
  /** Everything that there is to look at; no check takes longer than `limitMs`. Asks nothing by itself. */
  readonly openDoctor: (config: Config, limitMs: number) => Doctor;
  /** Takes the database over for this fleet; gives a sentence that says what was done. */
  readonly adoptFleet: (config: Config) => Promise<string>;
};
