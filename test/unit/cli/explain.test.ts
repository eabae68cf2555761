import { expect } from "chai";
import { explain, type Known } from "../../../src/cli/explain.ts";
import { durationText } from "../../../src/cli/time-text.ts";
import type { PlacementRecord, RunRecord, StatusRecord } from "../../../src/core/records.ts";
import { aReading, aSegment, aSpec, aWorker, bot, epoch, hash, segment, sid } from "../../support/builders.ts";

const now = new Date("2026-11-24T12:00:00Z");
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1_000);
const placed = (over: Partial<PlacementRecord> = {}): PlacementRecord => ({
  _id: bot(),
  segment: segment(12),
  active: true,
  done: null,
  ...over,
});
const status = (over: Partial<StatusRecord> = {}): StatusRecord => ({
  _id: bot(),
  epoch: 7,
  sid: sid("w"),
  state: "running",
  since: ago(60),
  worker: "pod-w",
  container: "c1",
  restarts: 0,
  attempt: 0,
  nextStart: null,
  lastExit: null,
  message: "",
  warnings: [],
  spec: hash(),
  ...over,
});
const exit = (over: Partial<NonNullable<StatusRecord["lastExit"]>> = {}) =>
  ({ code: 7, oom: "no", at: ago(5), why: "crashed", ...over }) as const;
const owned = aSegment(12, { state: "assigned", owner: sid("w"), epoch: epoch(7) });

const running: Known = {
  bot: "ticker",
  reading: aReading(),
  status: status(),
  placement: placed(),
  segment: owned,
  owner: aWorker("w"),
  runs: [],
  now,
};
const invalid = { kind: "invalid", id: bot(), document: "ticker", faults: ["image: is missing"] } as const;
const where = "segment 12 owned by pod-w under epoch 7";
const done = placed({ active: false, done: hash() });

const cases: readonly { why: string; known: Partial<Known>; state?: string; next: string }[] = [
  { why: "a running bot", known: {}, state: "running", next: `runs in ${where}` },
  { why: "an owner without a name", known: { owner: aWorker("w", { pod: "" }) }, next: "runs in segment 12 owned by w under epoch 7" },
  {
    why: "a crashed bot",
    known: { status: status({ state: "backoff", attempt: 4, nextStart: ago(-14), lastExit: exit() }) },
    state: "backoff",
    next: "starts again at 2026-11-24T12:00:14Z, in 14 s (crash 4 in a row, back-off)",
  },
  {
    why: "a start that is due",
    known: { status: status({ state: "backoff", attempt: 1, nextStart: ago(2), lastExit: exit() }) },
    next: "starts again now, it was due at 2026-11-24T11:59:58Z (crash 1 in a row, back-off)",
  },
  {
    why: "an image that cannot be had",
    known: { status: status({ state: "backoff", attempt: 2, nextStart: ago(-1), lastExit: exit(), message: "Cannot get the image" }) },
    next: "starts again at 2026-11-24T12:00:01Z, in 1 s (failed start 2 in a row, back-off)",
  },
  {
    why: "an image that a registry refuses for good",
    known: { status: status({ state: "backoff", message: "Cannot get the image" }) },
    next: "nothing: it cannot be started while its document stays as it is (runtime bots restart ticker tries again)",
  },
  {
    why: "an image that a registry puts off",
    known: { status: status({ state: "backoff", nextStart: ago(-5), message: "Cannot get the image" }) },
    next: "starts again at 2026-11-24T12:00:05Z, in 5 s (no image yet)",
  },
  {
    why: "a name that the Engine does not let go",
    known: { status: status({ state: "backoff", nextStart: ago(-5), message: 'Cannot create: the Docker Engine holds the name "bot-x"' }) },
    next: "starts again at 2026-11-24T12:00:05Z, in 5 s (its name is not free)",
  },
  {
    why: "a document changed during back-off",
    known: { status: status({ state: "backoff", spec: hash("old"), nextStart: ago(-99) }) },
    next: `starts at once: its document has changed; in ${where}`,
  },
  { why: "a changed document", known: { status: status({ spec: hash("old") }) }, next: `restarts: its document has changed; in ${where}` },
  { why: "a start", known: { status: status({ state: "starting" }) }, next: `starts in ${where}: its image, then its container` },
  {
    why: "a stop for a restart",
    known: { status: status({ state: "stopping" }) },
    next: `starts anew in ${where} once its container is proven gone`,
  },
  { why: "a taken name", known: { status: status({ state: "pending", message: "name" }) }, next: `waits in ${where}` },
  {
    why: "a bot enabled again",
    known: { status: status({ state: "stopped" }) },
    next: `starts in ${where}: its document lets it run again`,
  },
  { why: "a corrected bot", known: { status: status({ state: "invalid" }) }, next: `starts in ${where}: its document lets it run again` },
  {
    why: "a completed bot that is still counted",
    known: { status: status({ state: "completed" }) },
    next: "nothing: it has completed, and with restart: always it starts again only when its document changes (runtime bots restart ticker)",
  },
  {
    why: "a failed bot",
    known: { placement: done, status: status({ state: "failed" }), reading: aReading({ spec: aSpec({ restart: "never" }) }) },
    next: "nothing: it has failed, and with restart: never it starts again only when its document changes (runtime bots restart ticker)",
  },
  {
    why: "a completed bot whose document changed",
    known: { placement: placed({ active: false, done: hash("old") }), status: status({ state: "completed", spec: hash("old") }) },
    next: "waits for the leader to count it in segment 12: it was enabled or changed",
  },
  {
    why: "the same, counted again",
    known: { status: status({ state: "completed", spec: hash("old") }) },
    next: `starts: its document has changed; in ${where}`,
  },
  {
    why: "a bot just inserted",
    known: { placement: undefined, status: undefined },
    state: "pending",
    next: "waits for a segment: no runtime has taken its document in yet",
  },
  { why: "a free segment", known: { segment: aSegment(12), owner: undefined }, next: "waits for an owner: segment 12 is free" },
  {
    why: "a segment that nobody made yet",
    known: { segment: undefined, status: undefined },
    state: "pending",
    next: "waits for an owner: segment 12 is free",
  },
  {
    why: "a dead owner",
    known: { owner: aWorker("w", { state: "dead" }) },
    next: "waits for a new owner: the last one of segment 12, pod-w, has ended",
  },
  {
    why: "an owner without a record",
    known: { owner: undefined },
    next: "waits for a new owner: the last one of segment 12, w, has ended",
  },
  {
    why: "an owner that ends",
    known: { owner: aWorker("w", { state: "draining" }) },
    next: "moves: pod-w ends and stops its bots, then another owner of segment 12 starts it",
  },
  {
    why: "a segment on the move",
    known: { segment: { ...owned, state: "revoking" } },
    next: "moves: pod-w stops the bots of segment 12 (epoch 7), then another owner starts it",
  },
  {
    why: "a new owner that is silent still",
    known: { status: status({ epoch: 6 }) },
    next: `waits to be started or adopted in ${where}, which has not reported it yet`,
  },
  {
    why: "a disabled bot",
    known: { reading: aReading({ enabled: false }), status: status({ state: "stopped" }) },
    state: "stopped",
    next: "nothing: disabled (runtime bots enable ticker)",
  },
  {
    why: "a bot never seen, and disabled",
    known: { reading: aReading({ enabled: false }), status: undefined, placement: undefined },
    state: "stopped",
    next: "nothing: disabled (runtime bots enable ticker)",
  },
  {
    why: "a bot just disabled",
    known: { reading: aReading({ enabled: false }) },
    state: "running",
    next: "its container is stopped: it is disabled",
  },
  {
    why: "an invalid bot",
    known: { reading: invalid, status: status({ state: "invalid" }) },
    state: "invalid",
    next: "nothing until its document is corrected",
  },
  {
    why: "a bot never seen, and invalid",
    known: { reading: invalid, status: undefined, placement: undefined },
    state: "invalid",
    next: "nothing until its document is corrected",
  },
  {
    why: "a running bot made invalid",
    known: { reading: invalid },
    state: "running",
    next: "its container is stopped: its document is invalid",
  },
  {
    why: "a bot just deleted",
    known: { reading: undefined },
    state: "running",
    next: "its container is stopped and its records are forgotten: its document is deleted",
  },
  {
    why: "a bot of the past",
    known: { reading: undefined, status: undefined, placement: undefined },
    state: "deleted",
    next: "nothing: it is deleted",
  },
];

describe("explain()", () => {
  for (const { why, known, state, next } of cases)
    it(`says what is next: ${why}`, () => {
      const explanation = explain({ ...running, ...known });
      expect(explanation.next).to.equal(next);
      if (state !== undefined) expect(explanation.state).to.equal(state);
    });

  const reasons: readonly { why: string; known: Partial<Known>; gives: readonly string[] }[] = [
    { why: "nothing to say", known: {}, gives: [] },
    {
      why: "the last exit",
      known: { status: status({ message: "no such file", lastExit: exit({ code: 143 }) }) },
      gives: ["no such file", "last exit: 143 (SIGTERM), 2026-11-24T11:59:55Z, 5 s ago (crashed)"],
    },
    {
      why: "memory, with the limit and the fix",
      known: { status: status({ message: "killed: out of memory", lastExit: exit({ code: 137, oom: "oom" }) }) },
      gives: [
        "killed: out of memory",
        "last exit: 137 (SIGKILL), 2026-11-24T11:59:55Z, 5 s ago (crashed)",
        "killed for its memory, the limit is 64Mi: raise resources.memory",
      ],
    },
    {
      why: "faults have lines of their own",
      known: { reading: invalid, status: status({ state: "invalid", message: "image: is missing" }) },
      gives: [],
    },
  ];
  for (const { why, known, gives } of reasons)
    it(`says why: ${why}`, () => expect(explain({ ...running, ...known }).why).to.deep.equal(gives));
  it("shows faults with their fixes", () => expect(explain({ ...running, reading: invalid }).faults).to.deep.equal(["image: is missing"]));
  it("says how long a run lasted", () => {
    const run = {
      _id: "c",
      started: ago(70),
      ended: ago(9.5),
      exit: 1,
      oom: "no",
      startedWhy: "new",
      endedWhy: "crashed",
      log: "x",
    } as RunRecord;
    const [shown, unknown] = explain({ ...running, runs: [run, { ...run, started: null }] }).runs;
    expect(shown).to.deep.equal({
      container: "c",
      started: ago(70),
      ended: ago(9.5),
      lastedMs: 60_500,
      exit: 1,
      oom: "no",
      startedWhy: "new",
      endedWhy: "crashed",
    });
    expect(unknown?.lastedMs).to.equal(null);
  });
});

describe("durationText()", () => {
  for (const [ms, text] of [
    [-5, "0 s"],
    [320, "0.3 s"],
    [9_949, "9.9 s"],
    [9_950, "10 s"],
    [59_900, "1 min"],
    [125_000, "2 min 5 s"],
    [7_200_000, "2 h"],
    [90_061_000, "1 d 1 h"],
  ] as const)
    it(`writes ${ms} ms as ${text}`, () => expect(durationText(ms)).to.equal(text));
});
