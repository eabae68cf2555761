import type { FaultName } from "../sim/faults.ts";
import type { Act } from "../sim/play.ts";
import { regressions } from "../sim/regressions.ts";

/** One guard of the protocol taken away, as an edit of the very source that the product runs. */
export type Mutant = {
  readonly name: string;
  /** What the guard is for. */
  readonly guard: string;
  readonly file: string;
  readonly edit: (source: string) => string;
  /** Faults that only together show what the guard is for; absent: the general plays do. */
  readonly aims?: readonly FaultName[];
  /** Or these very faults, at these times, with everything else left to chance. */
  readonly script?: readonly Act[];
};

/** Writes that land after their caller has gone on. */
const LATE = ["writes land late", "writes land late", "process killed", "network slow"] as const;
const MOVES = ["writes land late", "writes land late", "planned moves", "process killed", "two leaders"] as const;
/** Sessions end while what was sent before is still on its way. */
const ENDS = ["process stopped long", "process killed for long", "worker cut from both", "process killed", "writes land late"] as const;
const LEADERS = [
  "two leaders",
  "two leaders",
  "leader stopped",
  "leader killed",
  "planned moves",
  "process killed for long",
  "pod lost",
] as const;
/** Calls that dockerd has in hand while segments come and go. */
const STOPS = ["planned moves", "planned moves", "dockerd slow", "dockerd hangs", "stops are slow", "bot crashes"] as const;
const DROPS = ["runtime.* dropped", "worker cut from MongoDB", "API server down", "worker cut from the API server"] as const;

/** One worker is cut off, and then MongoDB is away for all. */
const HEADLESS = ["worker cut from MongoDB for long", "MongoDB takes no write for long", "leader killed", "API server down"] as const;

const OPERATIONS = "src/core/operations.ts";

/** @throws {Error} unless `find` stands in the source exactly once: a mutant that changes nothing would survive unseen. */
const swap =
  (find: string, put: string) =>
  (source: string): string => {
    if (source.split(find).length !== 2) throw new Error(`Cannot find exactly once: ${find}`);
    return source.replace(find, () => put);
  };

/** A term of an operation's filter. */
const term = (op: string, field: string, guard: string, aims?: readonly FaultName[]): Mutant => ({
  ...(aims && { aims }),
  name: `${op} filter: ${field}`,
  guard,
  file: OPERATIONS,
  edit: (source) => {
    const begin = source.indexOf(`op: "${op}"`);
    const from = source.indexOf("where: [", begin);
    const to = source.indexOf("\n", from);
    const line = source.slice(from, to);
    const without = line.replace(new RegExp(`\\b${field}: (\\{[^}]*\\}|living)(, )?`), "").replace(", }", " }");
    if (begin < 0 || without === line) throw new Error(`Cannot find the term ${field} of ${op}`);
    return source.slice(0, from) + without.replace("{ }", "{}").replace("{  }", "{}") + source.slice(to);
  },
});

const guard = (name: string, about: string, file: string, find: string, put: string, aims?: readonly FaultName[]): Mutant => ({
  ...(aims && { aims }),
  name,
  guard: about,
  file,
  edit: swap(find, put),
});

/** A play that once showed the very thing. */
const regression = (why: string): readonly Act[] => {
  const found = regressions.find((r) => r.why.startsWith(why));
  if (found === undefined) throw new Error(`Cannot find the regression "${why}"`);
  return found.acts;
};

export const mutants: readonly Mutant[] = [
  term("O0", "inc", "a process goes on only from the counter it has read", LATE),
  term("O0", "state", "the dead and the gone do not rise", ENDS),
  term("O1", "inc", "only the newest process of a session renews it", LATE),
  term("O1", "state", "the dead do not renew"),
  term("O2", "epoch", "a plan that is out of date gives nothing away", MOVES),
  term("O3", "hbSeq", "who renewed meanwhile is not ended", ENDS),
  term("O3'", "epoch", "only that tenure is freed", ENDS),
  term("O4", "epoch", "only in that tenure", MOVES),
  term("O4", "state", "what is free cannot be revoked", MOVES),
  term("O4", "term", "an old leader revokes nothing after a new one", LEADERS),
  term("O5", "epoch", "a late release does not free a later tenure", MOVES),
  term("O6", "epoch", "an old owner's report does not overwrite a new one's"),
  term("O7", "term", "no two leaders share a term", LEADERS),
  guard(
    "wait L",
    "a session is ended only after long silence",
    "src/core/observation.ts",
    "if (now - since < silenceMs(record, timings) && !provenDead",
    "if (now - since < 1_000 && !provenDead",
  ),
  guard(
    "stamp at sending",
    "the worker counts from the sending of a renewal",
    "test/sim/lifeline.ts",
    "this.session = afterRenewal(this.session, sentAt, outcome",
    "this.session = afterRenewal(this.session, worker.pod.mono(), outcome",
    ["process stopped 3 s", "process stopped long", "worker cut from both", "network slow", "network slow"],
  ),
  guard(
    "unknown is not success",
    "a renewal without an answer extends nothing",
    "src/core/session.ts",
    'if (outcome === "unknown" || session.lost !== undefined) return session;\n  if (outcome === "missed")',
    'if (session.lost !== undefined) return session;\n  if (outcome === "missed")',
  ),
  guard(
    "the fence",
    "bots die with the right to run them",
    "src/core/fence.ts",
    "return file === undefined ||",
    "if (file !== undefined) return false;\n  return file === undefined ||",
    ["process killed for long", "process stopped long", "worker cut from both"],
  ),
  guard(
    "fence: clock set back",
    "a fence whose clock went back cannot tell the time",
    "src/core/fence.ts",
    "now < lastNow || file.reading > now || ",
    "",
    ["clock of the pod set back", "process stopped long", "process killed for long", "worker cut from both"],
  ),
  guard(
    "Lease before record",
    "a session is alive in both stores until it is ended in both",
    "src/core/observation.ts",
    'const write = lease === "none" ?',
    'const write = lease !== "unread" ?',
  ),
  guard(
    "barred Lease",
    "a marked Lease keeps nobody alive",
    "src/core/session.ts",
    'if (outcome === "barred") return { ...session, lease: { isBarred: true } };',
    'if (outcome === "barred") return session;',
  ),
  {
    ...guard(
      "first Lease needs MongoDB",
      "where there is no Lease there is no mark either",
      "src/core/session.ts",
      "if (lease.provenAt === undefined) return confirmed;",
      "if (lease.provenAt === undefined) return true;",
    ),
    script: regression("a Lease begun late"),
  },
  guard(
    "stop proof: calls in hand",
    "a call whose outcome is unknown may still start a bot",
    "src/core/stop-proof.ts",
    "loud.add(segment);",
    "",
    STOPS,
  ),
  guard(
    "stop proof: list",
    "no container of the segment exists",
    "src/core/stop-proof.ts",
    "const inTheWay = containers.filter(({ segment }) => quiet.includes(segment));",
    "const inTheWay = containers.slice(containers.length);",
    ["placement lost", "planned moves", "planned moves", "stops are slow"],
  ),
  guard(
    "start gate's second look",
    "what was decided before the image and a slot had come need not hold after it",
    "test/sim/bots.ts",
    "if (!this.#mayStart(labels)) return this.#leave(bot, RETRY_MS);",
    "",
    STOPS,
  ),
  guard(
    "stop proof",
    "a segment is let go when nothing of it runs or can begin to run",
    "test/sim/holdings.ts",
    "for (const segment of proven) if (still.includes(segment)) this.#letGo(segment);",
    'for (const [segment, { state }] of this.tenures) if (state === "leaving") this.#letGo(segment);',
  ),
  guard(
    "release record",
    "what was let go is not started by the next process",
    "src/core/tenure.ts",
    "return last !== undefined && epoch <= last;",
    "return false;",
    ["planned moves", "process killed", "writes land late", "reads out of date", "network slow"],
  ),
  guard(
    "leaving stays leaving",
    "a late answer does not bring a segment back",
    "src/core/tenure.ts",
    'leaves || same?.state === "leaving" ? "leaving"',
    'leaves ? "leaving"',
    ["planned moves", "reads out of date", "stops are slow", "dockerd slow"],
  ),
  guard(
    "recreate rule",
    "a container that was made and not started is made anew",
    "test/sim/bots.ts",
    'case "remove":\n            return pod.remove(step.container, next);',
    'case "remove":\n            return pod.start(step.container.id, next);',
    ["dockerd slow", "dockerd hangs", "planned moves", "process killed", "stops are slow"],
  ),
  guard(
    "Lease written before the record",
    "what was not marked is not ended",
    "test/sim/leader.ts",
    'if (reply?.kind !== "written") return;',
    'if (reply === undefined || reply.kind === "conflict") return end();',
    ["worker cut from MongoDB", "process stopped long", "writes land late", "network slow"],
  ),
  {
    ...guard(
      "a marked Lease is marked again",
      "only a write proves that its worker has not taken the mark away",
      "src/core/observation.ts",
      'const write = lease === "none" ?',
      'const write = lease === "none" || (typeof lease !== "string" && lease.lease.revoked) ?',
    ),
    script: regression("a mark on a Lease"),
  },
  guard(
    "fresh dockerd",
    "a new session begins where nothing of an earlier one is left",
    "test/sim/announcement.ts",
    "return this.#onFreshDocker(() => this.#insert(plan.sid));",
    "return void this.#onFreshDocker, this.#insert(plan.sid);",
    ["process stopped long", "dockerd hangs", "process killed for long", "dockerd slow", "runtime.* dropped"],
  ),
  guard(
    "claim: living sessions",
    "a second fleet starts nothing",
    "src/core/claim.ts",
    "if (others.length > 0 && !oldFleetIsStopped) return",
    "if (false) return",
  ),
  guard(
    "incarnation: Leases of another life",
    "who runs on under a dropped database is barred and waited for",
    "src/core/settling.ts",
    "return [...leases].filter(([, { lease }]) => !lease.revoked && lease.incarnation !== incarnation);",
    "return [];",
    DROPS,
  ),
  guard(
    "incarnation: wait L",
    "nothing is given away while somebody of another life may run",
    "src/core/settling.ts",
    "now - settling.unsettledAt >= endMs",
    "true",
    DROPS,
  ),
  guard(
    "giving up: only while the leader reaches MongoDB",
    "with MongoDB away for all, bots run on",
    "src/core/headless.ts",
    "sight?.found?.reachesStore !== true || holder === null",
    "sight?.found === undefined || holder === null",
    HEADLESS,
  ),
  guard(
    "giving up: the leader's word is fresh",
    "what a leader said that is no more says nothing",
    "src/core/headless.ts",
    " || now - sight.since >= leaseMs",
    "",
    ["pod lost", "MongoDB takes no write for long"],
  ),
  guard(
    "giving up: counted anew",
    "a look that shows no such leader takes back those before it",
    "src/core/headless.ts",
    "return { since, lookedAt: now };",
    "return { ...before, since, lookedAt: now };",
    HEADLESS,
  ),
  guard(
    "giving up: the word counts a write",
    "a MongoDB that takes no writes is reached by nobody",
    "src/core/headless.ts",
    "now - renewedAt < softMs && ",
    "",
    HEADLESS,
  ),
];
