import { type Command, InvalidArgumentError, Option } from "commander";
import { parseConfig } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import { type Check, type Finding, groupOf, worstOf } from "../doctor/finding.ts";
import { runChecks } from "../doctor/run-checks.ts";
import { type CommandContext, type Output, seconds } from "./command-context.ts";
import { CommandError, EXIT } from "./exit-codes.ts";
import { outputOption } from "./options.ts";
import type { Doctor } from "./ports.ts";
import { renderTable } from "./table.ts";

/** What a check may take, in seconds. */
const LIMIT_SECONDS = 10;
/** How long connections may take to close once everything is known, in ms. */
const CLOSE_MS = 1_000;

const GROUPS = ["mongodb", "docker", "fence", "kubernetes"] as const;
type Group = (typeof GROUPS)[number];
type Options = Output & { readonly only?: readonly Group[]; readonly timeout: number };

export function addDoctorCommand(program: Command, { deps, print, printJson, note }: CommandContext): void {
  program
    .command("doctor")
    .description("look at MongoDB, the Docker Engine, the fence and the rights in Kubernetes; changes nothing")
    .addOption(new Option("--only <groups>", `some of ${GROUPS.join(",")}`).argParser(groups))
    .option("--timeout <seconds>", "what each check may take", seconds, LIMIT_SECONDS)
    .addOption(outputOption())
    .action(async ({ output, only, timeout }: Options) => {
      const { config, warnings } = parseConfig(deps.env);
      note(warnings.map((warning) => `warning: ${warning}`));
      const limitMs = timeout * 1_000;
      const doctor = deps.openDoctor(config, limitMs);
      try {
        const findings = await runChecks(chosen(doctor.checks, only), { clock: deps.clock, limitMs });
        if (output === "json") printJson({ verdict: worstOf(findings), checks: findings.map(asJson) });
        else print(renderTable([], findings.map(lineOf)));
        const failed = findings.filter(({ verdict }) => verdict === "fail").map(({ check }) => check);
        if (failed.length > 0)
          throw new CommandError(`${failed.length} of ${findings.length} checks failed: ${failed.join(", ")}`, EXIT.failure);
      } finally {
        await closed(doctor, deps.clock);
      }
    })
    .addHelpText(
      "after",
      `\nGroups: ${GROUPS.join(", ")}. Each line: ok, warn or fail, the check, what was found, and after "fix:" what to do.\nThe exit code is 1 if a check failed; warnings alone leave it 0.\n\nExamples:\n  runtime doctor\n  runtime doctor --only mongodb,kubernetes\n  runtime doctor --output json | jq -r '.checks[] | select(.verdict != "ok") | .fix'`,
    );
}

/** What hung while it was looked at would hang here, too. */
async function closed(doctor: Doctor, clock: Clock): Promise<void> {
  const done = new AbortController();
  await Promise.race([doctor.close(), clock.sleep(CLOSE_MS, done.signal).catch(() => {})]);
  done.abort();
}

/** @throws {CommandError} when nothing is left to look at */
function chosen(checks: readonly Check[], only: readonly Group[] | undefined): readonly Check[] {
  const left = checks.filter(({ name }) => only === undefined || only.some((group) => group === groupOf(name)));
  if (left.length > 0) return left;
  throw new CommandError(`Cannot look at ${only?.join(", ")}: with this COORDINATION there is none`, EXIT.usage);
}

/** @throws {InvalidArgumentError} */
function groups(text: string): readonly Group[] {
  const words = text.split(",").map((word) => word.trim());
  const unknown = words.filter((word) => !GROUPS.some((group) => group === word));
  if (unknown.length > 0) throw new InvalidArgumentError(`It must be some of ${GROUPS.join(",")}.`);
  return words as Group[];
}

/** Never cut: the fix stands at the end. */
function lineOf({ verdict, check, what, fix }: Finding): string[] {
  return [verdict, check, fix === undefined ? what : `${what}; fix: ${fix}`];
}

function asJson({ check, verdict, what, fix }: Finding): object {
  return { check, verdict, what, fix: fix ?? null };
}
