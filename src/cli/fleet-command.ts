import type { Command } from "commander";
import { parseConfig } from "../config.ts";
import { isLiving } from "../core/session.ts";
import { timingsOf } from "../core/timings.ts";
import type { CommandContext, Output } from "./command-context.ts";
import { EXIT } from "./exit-codes.ts";
import { fleetText } from "./fleet-text.ts";
import { type FleetReport, viewFleet } from "./fleet-view.ts";
import { outputOption, ttyWidth } from "./options.ts";
import { oneLine } from "./terminal.ts";

/** Two looks lie so many renewals apart: who lives has renewed in between. */
const LOOK_RENEWALS = 1.5;

export function addFleetCommand(program: Command, { deps, print, printJson, note, withFleet }: CommandContext): void {
  const fleet = program
    .command("fleet")
    .description("show who leads, the workers, and the segments that wait or move")
    .option("--all", "also workers whose sessions have ended")
    .option("--no-watch", "look once; who renews is not told then")
    .addOption(outputOption())
    .allowExcessArguments()
    .action(async ({ output, all = false, watch }: Output & { readonly all?: boolean; readonly watch: boolean }, command: Command) => {
      const [word] = command.args;
      if (word !== undefined)
        command.error(`error: unknown command '${oneLine(word)}'\nRun runtime fleet --help for the commands`, { exitCode: EXIT.usage });
      await withFleet(async (books, config) => {
        const before = watch ? await books.signs() : undefined;
        // Without anybody alive there is nothing to see moving.
        if (before?.workers.some((w) => isLiving(w.state)) === true)
          await deps.clock.sleep(LOOK_RENEWALS * timingsOf(config).renewMs, new AbortController().signal);
        const report = viewFleet(await books.look(), before);
        if (output === "json") printJson(all ? report : { ...report, workers: report.workers.filter((w) => isLiving(w.state)) });
        else print(fleetText(report, { now: deps.clock.wall(), all, width: ttyWidth(deps) }));
        note(hintsOf(report, all));
      });
    })
    .addHelpText(
      "after",
      "\nWho renews is told by two looks, 1.5 times RENEW_SECONDS apart; ages are for people and come from clocks.\n\nExamples:\n  runtime fleet\n  runtime fleet --all\n  runtime fleet --no-watch --output json | jq '.figures.segment_backlog'",
    );

  fleet
    .command("adopt")
    .description("take over a database that another fleet holds, or give ours a new life after a restore")
    .requiredOption("--old-fleet-is-stopped", "you vouch that no bot of the old fleet runs any more; if one does, it will run twice")
    .action(async () => {
      const { config } = parseConfig(deps.env);
      print(`${oneLine(await deps.adoptFleet(config))}\n`);
    })
    .addHelpText(
      "after",
      "\nIt looks for 3 times RENEW_SECONDS first and refuses, with exit code 78, if a session still renews.\n\nExample:\n  runtime fleet adopt --old-fleet-is-stopped",
    );
}

function hintsOf({ workers }: FleetReport, all: boolean): string[] {
  if (workers.length === 0) return ["No worker has ever registered here: start one with `runtime serve` and this MONGO_URI and DB_NAME."];
  if (workers.some((w) => isLiving(w.state))) return [];
  return [`No worker is up: start one with \`runtime serve\`.${all ? "" : ` --all shows the ${workers.length} that have ended.`}`];
}
