import type { Config, ParsedConfig } from "../config.ts";
import type { FoundDocument } from "../core/bot.ts";
import type { BotId } from "../core/ids.ts";
import type { RunRecord, StatusRecord } from "../core/records.ts";

/** What the command line needs of MongoDB, with the user's own rights. Every method throws StoreUnreachableError when
 *  no answer came. Where an ObjectId and the string that spells it both exist, a BotId means the ObjectId. */
export interface UserBots {
  /** Every document of the user's collection, by a cursor. */
  listBots(): AsyncIterable<FoundDocument>;
  /** At most two: a string and the ObjectId that it spells. */
  getBot(id: BotId): Promise<readonly FoundDocument[]>;
  /** Makes the stored document equal to this one, inserting it if there is none. `raw` says its `_id`; what stands in
   *  `document._id` counts for nothing. */
  putBot(bot: FoundDocument): Promise<"created" | "configured" | "unchanged">;
  setEnabled(id: BotId, enabled: boolean): Promise<"configured" | "unchanged" | "missing">;
  /** False: there was none. */
  deleteBot(id: BotId): Promise<boolean>;
  statuses(): AsyncIterable<StatusRecord>;
  status(id: BotId): Promise<StatusRecord | undefined>;
  /** The newest first. */
  runs(id: BotId, limit: number): Promise<readonly RunRecord[]>;
  close(): Promise<void>;
}

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
  /** The last lines of the bot's container on this machine's Engine; undefined: it has none.
   *  @throws {EngineUnreachableError} */
  readonly readContainerLog: (config: Config, bot: BotId, lines: number) => Promise<string | undefined>;
  /** Takes the database over for this fleet; gives a sentence that says what was done. */
  readonly adoptFleet: (config: Config) => Promise<string>;
};
