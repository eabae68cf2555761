import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { StoreUnreachableError } from "../../../src/core/errors.ts";
import { Bell } from "../../../src/process/bell.ts";
import { systemClock } from "../../../src/process/clock.ts";
import { retryPassing } from "../../../src/process/retry.ts";
import { runGroup } from "../../../src/process/run-group.ts";
import { LastSession } from "../../../src/process/last-session.ts";
import { lockStateDir, openStateDir, ReleasedFile } from "../../../src/process/state-dir.ts";
import { epoch, segment, sid } from "../../support/builders.ts";
import { FakeClock, settle } from "../../support/fake-clock.ts";

const never = new AbortController().signal;
const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));

describe("process: clocks", () => {
  for (const { name, clock } of [
    { name: "the system's", clock: systemClock },
    { name: "the fake", clock: new FakeClock() },
  ]) {
    it(`${name} clock rejects with the signal's own reason, before and during a sleep`, async () => {
      const end = new AbortController();
      const sleeping = clock.sleep(60_000, end.signal).catch((e: unknown) => e);
      const reason = new Error("enough");
      end.abort(reason);
      expect(await sleeping).to.equal(reason);
      expect(await clock.sleep(1, end.signal).catch((e: unknown) => e)).to.equal(reason);
    });
  }
});

describe("process: the system's clock", () => {
  it("counts from boot, suspend included, and never goes back", () => {
    const readings = Array.from({ length: 50 }, () => systemClock.mono());
    const boot = Number.parseFloat(readFileSync("/proc/uptime", "utf8")) * 1_000;
    expect(readings.every((at, i) => i === 0 || at >= (readings[i - 1] ?? 0))).to.equal(true);
    expect(boot - (readings.at(-1) ?? 0)).to.be.within(0, 5_000);
  });
});

describe("process: bell", () => {
  it("keeps a ring that comes while nobody waits", async () => {
    const bell = new Bell();
    const clock = new FakeClock();
    bell.ring();
    await bell.wait(clock, 1_000, never);
    let rung = false;
    const waiting = bell.wait(clock, 1_000, never).then(() => (rung = true));
    await settle();
    expect(rung).to.equal(false);
    bell.ring();
    await waiting;
  });

  it("returns after its time and when the signal aborts", async () => {
    const clock = new FakeClock();
    const waiting = new Bell().wait(clock, 1_000, never);
    await clock.advance(1_000);
    await waiting;
    await new Bell().wait(clock, 1_000, AbortSignal.abort());
  });
});

describe("process: retryPassing()", () => {
  it("tries again what passes, with growing waits, and gives up on what does not", async () => {
    const clock = new FakeClock();
    const waits: number[] = [];
    let calls = 0;
    const act = (): Promise<string> =>
      ++calls < 4 ? Promise.reject(new StoreUnreachableError("Cannot reach it")) : Promise.resolve("done");
    const done = retryPassing(act, { clock, random: () => 0, signal: never, onRetry: () => waits.push(clock.mono()) });
    await clock.advance(10_000);
    expect(await done).to.equal("done");
    expect(waits).to.deep.equal([0, 100, 300]);
    const bad = new TypeError("a bug");
    expect(await retryPassing(() => Promise.reject(bad), { clock, random: () => 0, signal: never }).catch((e: unknown) => e)).to.equal(bad);
  });
});

describe("process: runGroup()", () => {
  it("ends all when one ends, and throws what went wrong, but not the abort", async () => {
    const ended: string[] = [];
    const error = await runGroup(
      [(s) => untilAborted(s).finally(() => ended.push("a")), () => Promise.reject(new Error("broken"))],
      never,
    ).catch((e: unknown) => e);
    expect(ended).to.deep.equal(["a"]);
    expect(error).to.be.instanceOf(AggregateError);
    expect((error as AggregateError).errors.map((e: Error) => e.message)).to.deep.equal(["broken"]);
  });

  it("returns quietly when the outer signal aborts", async () => {
    const end = new AbortController();
    const running = runGroup([untilAborted, untilAborted], end.signal);
    end.abort();
    await running;
  });
});

describe("process: state directory", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp("/tmp/br-unit-");
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it("is locked for one process, and free again after it", async () => {
    const lock = await lockStateDir("STATE_DIR", dir);
    const second = await lockStateDir("STATE_DIR", dir).catch((e: unknown) => e);
    expect(second).to.have.property("code", "CONFIGURATION");
    await lock.release();
    await (await lockStateDir("STATE_DIR", dir)).release();
  });

  it("names the fix when it cannot be written", async () => {
    await writeFile(join(dir, "file"), "");
    const error = await openStateDir(join(dir, "file", "below")).catch((e: unknown) => e);
    expect(String(error)).to.match(/STATE_DIR: cannot write to ".*": make it writable/);
  });

  it("remembers the highest epoch released, across processes and a torn last line", async () => {
    const file = await ReleasedFile.open(dir, "one");
    await file.append(segment(3), epoch(7));
    await file.append(segment(3), epoch(9));
    await file.append(segment(4), epoch(1));
    await writeFile(join(dir, "released"), `${await readFile(join(dir, "released"), "utf8")}5`, {});
    const again = await ReleasedFile.open(dir, "one");
    expect([3, 4, 5].map((s) => again.epochOf(segment(s)))).to.deep.equal([9, 1, undefined]);
    expect(await readFile(join(dir, "released"), "utf8")).to.equal("life one\n3 9\n4 1\n");
  });

  it("forgets what was released in another life of the database, whose epochs may have been higher", async () => {
    await (await ReleasedFile.open(dir, "one")).append(segment(3), epoch(9));
    expect((await ReleasedFile.open(dir, "two")).epochOf(segment(3))).to.equal(undefined);
    expect((await ReleasedFile.open(dir, "one")).epochOf(segment(3))).to.equal(undefined);
  });

  it("believes a file of an older version, which names no life", async () => {
    await writeFile(join(dir, "released"), "3 9\n");
    expect((await ReleasedFile.open(dir, "one")).epochOf(segment(3))).to.equal(9);
  });

  it("remembers the session of the process before, and nothing where the file is torn", async () => {
    const first = await LastSession.open(dir);
    expect(first.held).to.equal(undefined);
    await first.keep({ sid: sid("AB:CD/2"), inc: 1 });
    await first.keep({ sid: sid("AB:CD/2"), inc: 12 });
    expect((await LastSession.open(dir)).held).to.deep.equal({ sid: "AB:CD/2", inc: 12 });
    for (const torn of ["", "12", "12 AB:C", "x AB:CD\n"]) {
      await writeFile(join(dir, "session"), torn);
      expect((await LastSession.open(dir)).held).to.equal(undefined);
    }
  });
});
