import type { Config } from "../config.ts";
import { EngineUnreachableError } from "../core/errors.ts";
import type { BotId } from "../core/ids.ts";
import { CommandError, EXIT } from "./exit-codes.ts";
import type { CliDeps, UserBots } from "./ports.ts";

export type BotLog = { readonly source: "container" | "run" | "none"; readonly text: string };

type LogSources = {
  readonly deps: Pick<CliDeps, "readContainerLog">;
  readonly bots: UserBots;
  readonly config: Config;
  readonly note: (lines: readonly string[]) => void;
};

/** The last lines of a bot: of its container here, else of its last recorded run. @throws {CommandError} for a bot that
 *  does not exist and has left nothing. */
export async function readLog(id: BotId, lines: number, { deps, bots, config, note }: LogSources): Promise<BotLog> {
  const here = await deps.readContainerLog(config, id, lines).catch((error: unknown) => {
    if (!(error instanceof EngineUnreachableError)) throw error;
    note(["The Docker Engine does not answer: this is the last recorded run."]);
    return undefined;
  });
  if (here !== undefined) return { source: "container", text: lastLines(here, lines) };
  const [run] = await bots.runs(id, 1);
  if (run === undefined && (await bots.getBot(id)).length === 0) throw missing(id);
  return { source: run === undefined ? "none" : "run", text: lastLines(run?.log ?? "", lines) };
}

function lastLines(text: string, lines: number): string {
  return lines === 0 ? "" : text.replace(/\n$/, "").split("\n").slice(-lines).join("\n");
}

export function missing(id: BotId): CommandError {
  return new CommandError(`Cannot find the bot ${JSON.stringify(id)}`, EXIT.missing);
}
