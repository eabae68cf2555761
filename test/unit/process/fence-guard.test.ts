import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import type { MonoMs } from "../../../src/core/clock.ts";
import type { FenceFile as FenceWord } from "../../../src/core/fence.ts";
import { FenceFile } from "../../../src/process/fence-file.ts";
import { type FenceDir, FenceGuard } from "../../../src/process/fence-guard.ts";
import { workerIdOf } from "../../../src/process/kept-names.ts";
import { at } from "../../support/builders.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const never = new AbortController().signal;

describe("process/fence-guard FenceGuard", () => {
  let clock: FakeClock;
  let written: FenceWord[];
  let tick: ReturnType<FenceDir["readTick"]>;
  let guard: FenceGuard;
  beforeEach(() => {
    clock = new FakeClock();
    written = [];
    tick = undefined;
    guard = new FenceGuard({ bootId: "boot", write: (word) => written.push(word), readTick: () => tick }, clock);
  });
  const says = (now: number, state = "up", bootId = "boot"): void => void (tick = { now: at(now), bootId, state, trips: 3 });

  for (const { why, at: now, bootId, gives } of [
    { why: "it reads our time", at: 10_000, gives: true },
    { why: "it is a second behind", at: 9_000, gives: true },
    { why: "it hangs", at: 8_900, gives: false },
    { why: "it is ahead of us", at: 11_100, gives: false },
    { why: "it is of another boot", at: 10_000, bootId: "other", gives: false },
  ])
    it(`${gives ? "is" : "is not"} steady when ${why}`, async () => {
      await clock.advance(10_000);
      says(now, "up", bootId);
      expect(guard.isSteady()).to.equal(gives);
    });

  it("is not steady before the fence has said anything", () => expect(guard.isSteady()).to.equal(false));

  it("takes a word that was read half-written for no news", () => {
    says(0);
    expect([guard.isSteady(), guard.trips()]).to.deep.equal([true, 3]);
    tick = undefined;
    expect([guard.isSteady(), guard.trips()]).to.deep.equal([true, 3]);
  });

  it("lets what runs go on until a deadline, and says what its own clock reads", async () => {
    await clock.advance(10_000);
    guard.keepRunning(at(16_900));
    expect(written).to.deep.equal([{ deadline: 16_900, reading: 10_000, bootId: "boot" }]);
  });

  it("waits for a fresh engine until the fence says, after our word, that nothing is left", async () => {
    await clock.advance(10_000);
    says(9_900, "down"); // before it can have read our word
    let isOver = false;
    const killing = guard.killAll(never).then(() => (isOver = true));
    expect(written).to.deep.equal([{ deadline: 10_000, reading: 10_000, bootId: "boot" }]);
    await clock.advance(500);
    says(10_500, "killing");
    await clock.advance(500);
    says(11_000, "down", "other");
    await clock.advance(500);
    expect(isOver).to.equal(false);
    says(11_500, "down");
    await clock.advance(500);
    await killing;
  });

  it("gives up on a fence that does not answer, and names the setting", async () => {
    const killing = guard.killAll(never).catch((error: Error) => error.message);
    await clock.advance(31_000);
    expect(await killing).to.include("FENCE_DIR: the fence does not say");
    expect(clock.sleeping).to.equal(0);
  });
});

describe("process/fence-file FenceFile", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp("/tmp/br-unit-");
  });
  afterEach(() => rm(dir, { recursive: true }));

  it("writes whole hundredths, the deadline never rounded up", async () => {
    const file = new FenceFile(dir);
    file.write({ deadline: 12_349.9 as MonoMs, reading: 10_001 as MonoMs, bootId: "b" });
    expect(await readFile(join(dir, "deadline"), "latin1")).to.equal("1234 1000 b\n");
  });

  for (const { text, gives } of [
    { text: "1234 boot up 2\n", gives: { now: 12_340, bootId: "boot", state: "up", trips: 2 } },
    { text: "1234 boot u", gives: undefined },
    { text: "", gives: undefined },
    { text: "soon boot up 2\n", gives: undefined },
  ])
    it(`reads ${JSON.stringify(text)}`, async () => {
      await writeFile(join(dir, "tick"), text);
      expect(new FenceFile(dir).readTick()).to.deep.equal(gives);
    });

  it("has nothing to tell before the fence has begun", () => expect(new FenceFile(dir).readTick()).to.equal(undefined));

  it("keeps a worker's id, and gives another directory another one", async () => {
    const first = await workerIdOf(dir);
    expect(await workerIdOf(dir)).to.equal(first);
    const other = await mkdtemp("/tmp/br-unit-");
    expect(await workerIdOf(other)).to.not.equal(first);
    await rm(other, { recursive: true });
  });
});
