import type { Command } from "commander";
import type { WorkerRecord } from "../core/records.ts";
import { isLiving } from "../core/session.ts";
import { type CommandContext, type Output, seconds } from "./command-context.ts";
import { CommandError, EXIT } from "./exit-codes.ts";
import { outputOption } from "./options.ts";
import type { CliDeps, FleetBooks } from "./ports.ts";

const POLL_MS = 250;
/** What a drain may take beyond the longest stop grace, in seconds: the moves' images. Source: design.md section 8. */
const SPARE_SECONDS = 35;

type Options = Output & { readonly wait?: number | true };

export function addDrainCommand(program: Command, { deps, print, printJson, note, withFleet }: CommandContext): void {
  program
    .command("drain")
    .description("empty a worker: its segments move to others, it stays up without bots")
    .argument("<worker>", "its pod name or its session id, as runtime fleet shows them")
    .option(
      "--wait [seconds]",
      `until it has released all its segments; at most so long (MAX_STOP_GRACE_SECONDS + ${SPARE_SECONDS})`,
      seconds,
    )
    .addOption(outputOption())
    .action(async (name: string, { output, wait }: Options) =>
      withFleet(async (books, config) => {
        const tell = (text: string) => void (output === "table" && print(`${text}\n`));
        const workers = await books.workers();
        const worker = findWorker(name, workers);
        const { _id: session, pod } = worker;
        const who = JSON.stringify(pod);
        if ((await books.askToDrain(session)) === "ended") throw ended(name, worker.state);
        const others = workers.filter((w) => w.state === "up" && w.drain !== true && w._id !== session);
        if (others.length === 0) note([`warning: no other worker is up: what ${who} gives up runs nowhere until one comes`]);
        const owned = await books.ownedBy(session);
        const again = worker.drain === true || worker.state === "draining";
        tell(`${who} ${again ? "drains already" : "drains"}: ${count(owned.length)} to release`);
        const limit = wait === true ? config.maxStopGraceSeconds + SPARE_SECONDS : wait;
        const state = limit === undefined ? "up" : await untilEmpty(worker, limit, books, deps, tell);
        const left = limit === undefined ? owned.length : 0;
        tell(state === "gone" ? "It has left" : "It stays up without bots until it is stopped; a restart ends the drain");
        if (output === "json") printJson({ pod, session, result: limit === undefined ? "draining" : "drained", segmentsLeft: left });
      }),
    )
    .addHelpText(
      "after",
      "\nThe worker hears of it with its next renewal. It stays up without bots until it is stopped; a restart ends the drain.\nAsking again changes nothing. Without another worker its bots stop all the same.\n\nExamples:\n  runtime drain worker-1\n  runtime drain worker-1 --wait\n  runtime drain worker-1 --wait 300 --output json",
    );
}

/** A session id first, for it names one session only; else a pod that lives. @throws {CommandError} */
function findWorker(name: string, workers: readonly WorkerRecord[]): WorkerRecord {
  const session = workers.find((w) => w._id === name);
  const found = session === undefined ? workers.filter((w) => w.pod === name && isLiving(w.state)) : [session];
  const [worker, ...more] = found;
  if (more.length > 0)
    throw new CommandError(
      `Cannot tell which worker ${JSON.stringify(name)} means, several sessions bear that pod name: ${found.map((w) => w._id).join(", ")}. Name the session`,
      EXIT.missing,
    );
  if (worker !== undefined && isLiving(worker.state)) return worker;
  const past = worker ?? workers.find((w) => w.pod === name);
  if (past !== undefined) throw ended(name, past.state);
  throw new CommandError(`Cannot find the worker ${JSON.stringify(name)}: runtime fleet shows who is there`, EXIT.missing);
}

function ended(name: string, state: WorkerRecord["state"]): CommandError {
  const how = isLiving(state) ? "ended meanwhile" : `has ended (${state})`;
  return new CommandError(`Cannot drain the worker ${JSON.stringify(name)}: its session ${how}`, EXIT.missing);
}

/** The worker's state once it owns nothing and is given nothing more. @throws {CommandError} when it does not come to that, or not in time */
async function untilEmpty(
  { _id: session, pod }: WorkerRecord,
  limitSeconds: number,
  books: FleetBooks,
  { clock }: CliDeps,
  tell: (text: string) => void,
): Promise<WorkerRecord["state"]> {
  const never = new AbortController().signal;
  const fail = (why: string) => new CommandError(`Cannot say that ${JSON.stringify(pod)} is empty: ${why}`, EXIT.failure);
  let told: number | undefined;
  for (const began = clock.mono(); ;) {
    // In this order: a worker that was draining before we counted is given nothing that it keeps.
    const now = (await books.workers()).find((w) => w._id === session);
    const left = (await books.ownedBy(session)).length;
    if (now === undefined) throw fail("its session is not in the books any more");
    if (now.state === "dead") throw fail("its session was ended as dead meanwhile; others take its segments over");
    if (now.state === "up" && now.drain !== true) throw fail("it was restarted meanwhile, which ended the drain: ask again");
    if (told !== left) tell(`${JSON.stringify(pod)} ${left === 0 ? "has released all its segments" : `has ${count(left)} left`}`);
    told = left;
    if (now.state !== "up" && left === 0) return now.state;
    if (clock.mono() - began >= limitSeconds * 1_000)
      throw fail(
        `after ${limitSeconds} s it ${now.state === "up" ? "has not heard of it" : `has ${count(left)} left`}; it goes on draining`,
      );
    await clock.sleep(POLL_MS, never);
  }
}

function count(segments: number): string {
  return `${segments} segment${segments === 1 ? "" : "s"}`;
}
