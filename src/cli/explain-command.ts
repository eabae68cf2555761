import type { Command } from "commander";
import type { BotId } from "../core/ids.ts";
import { pickReading } from "../document/pick-reading.ts";
import { type CommandContext, idOf, missing, type Output, type Session } from "./command-context.ts";
import { explain, type Explanation, type Known } from "./explain.ts";
import { outputOption, ttyWidth } from "./options.ts";
import { renderTable } from "./table.ts";
import { durationText, momentText } from "./time-text.ts";

const RUNS = 5;

export function addExplainCommand(parent: Command, { deps, print, printJson, withBots }: CommandContext): void {
  parent
    .command("explain")
    .description("say how a bot is, since when, why, and what happens next")
    .argument("<bot>", "the bot's _id")
    .addOption(outputOption())
    .action(async (bot: string, { output }: Output) =>
      withBots(async (session) => {
        const known = await gather(idOf(bot), session, deps.clock.wall());
        const explanation = explain(known);
        if (output === "json") printJson(explanation);
        else print(explanationText(explanation, known.now, ttyWidth(deps)));
      }),
    )
    .addHelpText("after", "\nExample:\n  runtime bots explain ticker");
}

/** @throws {CommandError} for a bot that does not exist and has left nothing */
async function gather(id: BotId, { bots, read }: Session, now: Date): Promise<Known> {
  const [found, status, placement, runs] = await Promise.all([bots.getBot(id), bots.status(id), bots.placement(id), bots.runs(id, RUNS)]);
  const reading = pickReading(found, read);
  if (reading === undefined && status === undefined && placement === undefined && runs.length === 0) throw missing(id);
  const segment = placement && (await bots.segment(placement.segment));
  const owner = segment?.owner == null ? undefined : await bots.worker(segment.owner);
  return { bot: id, reading, status, placement, segment, owner, runs, now };
}

function explanationText({ bot, state, since, why, faults, warnings, next, runs }: Explanation, now: Date, width?: number): string {
  const facts: (readonly [string, string])[] = [
    ["Bot:", bot],
    ["State:", state],
    ...(since === null ? [] : [["Since:", `${momentText(since)}, for ${durationText(now.getTime() - since.getTime())}`] as const]),
    ...why.map((line) => ["Why:", line] as const),
    ...faults.map((line) => ["Fault:", line] as const),
    ...warnings.map((line) => ["Warning:", line] as const),
    ["Next:", next],
  ];
  const rows = runs.map((run) => [
    run.started === null ? "-" : momentText(run.started),
    momentText(run.ended),
    run.lastedMs === null ? "-" : durationText(run.lastedMs),
    String(run.exit),
    run.oom,
    run.startedWhy,
    run.endedWhy,
  ]);
  const table = renderTable(["STARTED", "ENDED", "LASTED", "EXIT", "OOM", "STARTED BECAUSE", "ENDED BECAUSE"], rows, width);
  return `${renderTable([], facts)}${rows.length === 0 ? "" : `\nLast runs:\n${table}`}`;
}
