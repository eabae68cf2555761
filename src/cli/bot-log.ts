import type { Config } from "../config.ts";
import { EngineUnreachableError } from "../core/errors.ts";
import type { BotId } from "../core/ids.ts";
import { missing } from "./command-context.ts";
import type { CliDeps, UserBots } from "./ports.ts";
import { oneLine } from "./terminal.ts";

export type BotLog = {
  readonly source: "container" | "run" | "none";
  readonly text: string;
  /** Why these lines are not what was asked for, though they are the best there is. */
  readonly fault?: Error;
};

type LogSources = {
  readonly deps: Pick<CliDeps, "readContainerLog">;
  readonly bots: UserBots;
  readonly config: Config;
  readonly note: (lines: readonly string[]) => void;
};

/** The last lines of a bot: of its container here, else of its last recorded run. @throws {CommandError} for a bot that
 *  does not exist and has left nothing. */
export async function readLog(id: BotId, lines: number, sources: LogSources): Promise<BotLog> {
  const { deps, config, note } = sources;
  try {
    const here = await deps.readContainerLog(config, id, lines);
    if (here !== undefined) return { source: "container", text: lastLines(here, lines) };
    const elsewhere = await whereElse(id, sources);
    if (elsewhere !== undefined) note([elsewhere]);
    return await readPreviousLog(id, lines, sources);
  } catch (fault) {
    if (!(fault instanceof EngineUnreachableError)) throw fault;
    note(["The Docker Engine does not answer: this is the last recorded run."]);
    return { ...(await readPreviousLog(id, lines, sources)), fault };
  }
}

/** Where to ask for the output of a bot that runs on another worker; its output is with that one's Engine. */
async function whereElse(id: BotId, { bots, config }: LogSources): Promise<string | undefined> {
  const status = await bots.status(id);
  if (status === undefined || status.container === null || status.worker === config.podName) return undefined;
  const there =
    config.coordination === "kubernetes"
      ? `kubectl exec -n ${config.namespace} ${status.worker} -- runtime bots logs ${id}`
      : `runtime bots logs ${id}, on that machine`;
  return `It runs on ${oneLine(status.worker)}, and this is the last run that has ended. Ask there: ${oneLine(there)}`;
}

/** The last lines of the last run that has ended. @throws {CommandError} as `readLog` */
export async function readPreviousLog(id: BotId, lines: number, { bots }: Pick<LogSources, "bots">): Promise<BotLog> {
  const [run] = await bots.runs(id, 1);
  if (run === undefined && (await bots.getBot(id)).length === 0) throw missing(id);
  return { source: run === undefined ? "none" : "run", text: lastLines(run?.log ?? "", lines) };
}

export function lastLines(text: string, lines: number): string {
  return lines === 0 ? "" : text.replace(/\n$/, "").split("\n").slice(-lines).join("\n");
}
