import { expect } from "chai";
import * as fc from "fast-check";
import { type Actual, type Container, type ContainerStep, type Desired, planBot, planContainers } from "../../../src/core/containers.ts";
import type { BotId, ContainerId } from "../../../src/core/ids.ts";
import { afterAdoption, afterExit, afterStart, type BotMemory, FRESH } from "../../../src/core/restart.ts";
import { aContainer, anExit, at, bot, epoch, hash, sid, wantRun } from "../../support/builders.ts";

const none: Actual = { kind: "none" };
const ours = (over: Partial<Container> = {}): Actual => ({ kind: "ours", container: aContainer(over) });
const c1 = "c1" as ContainerId;
const started = afterStart(FRESH, hash(), c1, at(0));
const stop: Desired = { want: "stop", why: "disabled" };

const cases: readonly {
  why: string;
  desired: Desired;
  actual: Actual;
  memory?: BotMemory;
  now?: number;
  gives: Partial<ContainerStep> | undefined;
}[] = [
  { why: "starts a bot that is new", desired: wantRun(), actual: none, gives: { kind: "start", why: "new" } },
  {
    why: "starts a changed bot at once, whatever its back-off",
    desired: wantRun({ hash: hash("other") }),
    actual: none,
    memory: { ...started, nextStart: at(9_000) },
    gives: { kind: "start", why: "changed" },
  },
  {
    why: "waits out a crash",
    desired: wantRun(),
    actual: none,
    memory: { ...FRESH, spec: hash(), nextStart: at(500) },
    now: 400,
    gives: { kind: "wait", until: at(500), why: "backoff" },
  },
  {
    why: "restarts after the wait",
    desired: wantRun(),
    actual: none,
    memory: { ...FRESH, spec: hash(), nextStart: at(500) },
    now: 500,
    gives: { kind: "start", why: "crashed" },
  },
  {
    why: "starts again what vanished behind our back",
    desired: wantRun(),
    actual: none,
    memory: started,
    gives: { kind: "start", why: "lost" },
  },
  {
    why: "leaves a completed bot alone",
    desired: wantRun(),
    actual: none,
    memory: { ...FRESH, spec: hash(), done: "completed" },
    gives: undefined,
  },
  {
    why: "waits for another document when its image cannot be had",
    desired: wantRun(),
    actual: none,
    memory: { ...FRESH, spec: hash(), imageless: true },
    gives: { kind: "wait", why: "no-image" },
  },
  {
    why: "tries an image again once the document changed",
    desired: wantRun({ hash: hash("other") }),
    actual: none,
    memory: { ...FRESH, spec: hash(), imageless: true },
    gives: { kind: "start", why: "changed" },
  },
  {
    why: "runs a completed bot again once its document changed",
    desired: wantRun({ hash: hash("other") }),
    actual: none,
    memory: { ...FRESH, spec: hash(), done: "completed" },
    gives: { kind: "start", why: "changed" },
  },
  {
    why: "waits for a name that a stranger holds",
    desired: wantRun(),
    actual: { kind: "foreign" },
    gives: { kind: "wait", until: at(30_000), why: "name-taken" },
  },
  { why: "never touches a stranger's container", desired: stop, actual: { kind: "foreign" }, gives: undefined },
  { why: "adopts what runs under our session and epoch", desired: wantRun(), actual: ours(), gives: { kind: "adopt" } },
  { why: "leaves an adopted container alone", desired: wantRun(), actual: ours(), memory: started, gives: undefined },
  {
    why: "stops a disabled bot with its grace",
    desired: stop,
    actual: ours(),
    memory: started,
    gives: { kind: "stop", why: "disabled", graceSeconds: 10 },
  },
  {
    why: "stops an outdated container with its grace",
    desired: wantRun({ hash: hash("other") }),
    actual: ours(),
    memory: started,
    gives: { kind: "stop", why: "outdated", graceSeconds: 10 },
  },
  {
    why: "kills another session's container",
    desired: wantRun({ sid: sid("engine-2") }),
    actual: ours(),
    gives: { kind: "stop", why: "not-mine", graceSeconds: 0 },
  },
  {
    why: "kills an older epoch's container",
    desired: wantRun({ epoch: epoch(8) }),
    actual: ours(),
    gives: { kind: "stop", why: "not-mine", graceSeconds: 0 },
  },
  {
    why: "goes on stopping what still runs",
    desired: wantRun(),
    actual: ours(),
    memory: { ...started, stopping: "outdated" },
    gives: { kind: "stop", why: "outdated" },
  },
  {
    why: "removes what was created and never started",
    desired: wantRun(),
    actual: ours({ state: "created" }),
    gives: { kind: "remove", why: "never-started" },
  },
  {
    why: "records the end of a run",
    desired: wantRun(),
    actual: ours({ state: "exited", exit: anExit() }),
    memory: started,
    gives: { kind: "reap" },
  },
  {
    why: "waits while the engine is removing",
    desired: wantRun(),
    actual: ours({ state: "removing" }),
    now: 50,
    gives: { kind: "wait", until: at(150), why: "removing" },
  },
  { why: "has nothing to do for a stopped bot that is gone", desired: stop, actual: none, gives: undefined },
];

describe("core/containers planBot()", () => {
  for (const { why, desired, actual, memory = FRESH, now = 0, gives } of cases) {
    it(why, () => {
      const step = planBot(desired, actual, memory, at(now));
      if (gives === undefined) expect(step).to.equal(undefined);
      else expect(step).to.deep.include(gives);
    });
  }
});

/** Folds a step into a one-bot world as a faithful engine would. */
type World = { actual: Actual; memory: BotMemory; now: number; running: number };
function fold(world: World, step: ContainerStep, desired: Desired): World {
  switch (step.kind) {
    case "start": {
      const mine = aContainer(desired.want === "run" ? { epoch: desired.epoch, sid: desired.sid, spec: desired.hash } : {});
      return { ...world, actual: { kind: "ours", container: mine }, memory: afterStart(world.memory, mine.spec, mine.id, at(world.now)) };
    }
    case "adopt":
      return { ...world, memory: afterAdoption(world.memory, step.container.spec, step.container.id, at(world.now)) };
    case "stop":
      return {
        ...world,
        memory: { ...world.memory, stopping: step.why },
        actual: { kind: "ours", container: { ...step.container, state: "exited", exit: anExit({ code: 143 }) } },
      };
    case "reap":
      return { ...world, actual: none, memory: afterExit(world.memory, "always", anExit(), at(world.now), () => 0).memory };
    case "remove":
      return { ...world, actual: none };
    case "wait":
      return step.why === "removing" ? { ...world, actual: none, now: step.until } : { ...world, now: step.until ?? world.now };
  }
}

const arbDesired: fc.Arbitrary<Desired> = fc.oneof(
  fc
    .record({ hash: fc.constantFrom("a", "b"), epoch: fc.constantFrom(7, 8), sid: fc.constantFrom("x", "y") })
    .map((o) => wantRun({ hash: hash(o.hash), epoch: epoch(o.epoch), sid: sid(o.sid) })),
  fc.constantFrom<Desired>({ want: "stop", why: "disabled" }, { want: "stop", why: "deleted" }, { want: "stop", why: "not-mine" }),
);
const arbActual: fc.Arbitrary<Actual> = fc.oneof(
  fc.constant(none),
  fc
    .record({
      hash: fc.constantFrom("a", "b"),
      epoch: fc.constantFrom(6, 7, 8),
      sid: fc.constantFrom("x", "y"),
      state: fc.constantFrom("created", "running", "exited", "removing"),
    })
    .map((o) => ours({ spec: hash(o.hash), epoch: epoch(o.epoch), sid: sid(o.sid), state: o.state })),
);
const arbMemory: fc.Arbitrary<BotMemory> = fc.oneof(
  fc.constant(FRESH),
  fc.record({ attempt: fc.nat(12), restarts: fc.nat(50) }).map((o) => ({ ...FRESH, ...o, spec: hash("a"), container: c1, upSince: at(0) })),
);

describe("core/containers properties", () => {
  it("converges: twelve folds bring any world to what is desired, and the plan is then empty", () => {
    fc.assert(
      fc.property(arbDesired, arbActual, arbMemory, (desired, actual, memory) => {
        let world: World = { actual, memory, now: 0, running: 0 };
        for (let i = 0; i < 12; i++) {
          const step = planBot(desired, world.actual, world.memory, at(world.now));
          if (step === undefined) break;
          world = fold(world, step, desired);
        }
        expect(planBot(desired, world.actual, world.memory, at(world.now))).to.equal(undefined);
        if (desired.want === "stop") expect(world.actual.kind).to.equal("none");
        else expect(world.actual).to.deep.include({ kind: "ours" });
      }),
    );
  });

  it("never starts while the name holds anything: a changed spec is stop, proof, start", () => {
    fc.assert(
      fc.property(
        arbDesired,
        arbActual,
        arbMemory,
        (desired, actual, memory) => planBot(desired, actual, memory, at(0))?.kind !== "start" || actual.kind === "none",
      ),
    );
  });

  it("never kills a container of the current session, epoch and document", () => {
    fc.assert(
      fc.property(arbDesired, arbMemory, (desired, memory) => {
        if (desired.want !== "run") return;
        const actual = ours({ spec: desired.hash, epoch: desired.epoch, sid: desired.sid });
        expect(planBot(desired, actual, memory, at(0))?.kind).to.be.oneOf([undefined, "adopt"]);
      }),
    );
  });

  it("planContainers() gives each bot known from either side the step that planBot() gives", () => {
    const desired = new Map<BotId, Desired>([
      [bot("wanted"), wantRun()],
      [bot("both"), wantRun()],
    ]);
    const actual = new Map([
      [bot("both"), aContainer({ bot: bot("both") })],
      [bot("stray"), aContainer({ bot: bot("stray") })],
    ]);
    const plan = planContainers({ desired, actual, memory: new Map() }, { want: "stop", why: "not-mine" }, FRESH, at(0));
    expect([...plan].map(([id, step]) => [id, step.kind])).to.deep.equal([
      ["wanted", "start"],
      ["both", "adopt"],
      ["stray", "stop"],
    ]);
  });
});
