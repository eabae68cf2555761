import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { openCache } from "../../scripts/lib/cache.ts";
import { fetchPackageFile } from "../../scripts/lib/debian.ts";
import type { MonoMs } from "../../src/core/clock.ts";
import { systemClock } from "../../src/process/clock.ts";
import { eventually } from "../support/eventually.ts";
import { Fenced, putClock } from "../support/fenced.ts";

/** Two processes of which one has left its parent, as a shim leaves dockerd. */
const BOTS = ["sh", "-c", "setsid sleep 1000 & exec sleep 1001"];
const LONG_MS = 600_000;

describe("chart/files/fence.sh", function () {
  before(function () {
    if (process.getuid?.() !== 0) this.skip();
  });
  const names = async (fenced: Fenced): Promise<string[]> =>
    (await fenced.processes()).map((p) => p.name).filter((name) => name === "sleep");
  const running = (fenced: Fenced): Promise<true> =>
    eventually(
      "the bots run",
      async () => (await names(fenced)).length >= 2 || undefined,
      20_000,
      async () => fenced.output.join(""),
    );
  const dead = async (fenced: Fenced): Promise<void> => {
    await fenced.until("down");
    // Once more where the fence was met between its fork and its pause.
    await eventually(
      "nothing is left",
      async () => (await fenced.processes()).length === 0,
      5_000,
      async () => JSON.stringify(await fenced.processes()),
    );
  };

  it("starts nothing without a deadline", async () => {
    await using fenced = await Fenced.start({ command: BOTS });
    await dead(fenced);
  });

  for (const shell of [["sh"], ["busybox-of-the-image", "ash"]])
    it(`runs the command while the deadline lies ahead, and kills all of it when it has passed: ${shell.join(" ")}`, async function () {
      const words = shell[0] === "sh" ? shell : [await busybox(), "ash"];
      await using fenced = await Fenced.start({ command: BOTS, shell: words });
      fenced.allow(1_500);
      await running(fenced);
      await dead(fenced);
      expect(fenced.file.readTick()?.trips).to.equal(1);
    });

  it("lets the command run on as long as the deadline is moved", async () => {
    await using fenced = await Fenced.start({ command: BOTS });
    fenced.allow(2_000);
    await running(fenced);
    const first = (await fenced.processes()).map((p) => p.pid);
    const end = systemClock.mono() + 4_000;
    await eventually("two deadlines have passed", async () => (fenced.allow(2_000), systemClock.mono() > end || undefined));
    expect((await fenced.processes()).map((p) => p.pid)).to.include.members(first.slice(0, 2));
    expect(fenced.file.readTick()?.trips).to.equal(0);
  });

  for (const { why, lapse } of [
    { why: "the file is gone", lapse: (fenced: Fenced) => rm(join(fenced.dir, "deadline")) },
    { why: "the file makes no sense", lapse: (fenced: Fenced) => writeFile(join(fenced.dir, "deadline"), "soon 1 x\n") },
    { why: "the file is of another boot", lapse: async (fenced: Fenced) => fenced.allow(LONG_MS, { bootId: "another" }) },
    {
      why: "the worker's clock is ahead",
      lapse: async (fenced: Fenced) => fenced.allow(LONG_MS, { reading: (systemClock.mono() + 5_000) as MonoMs }),
    },
    { why: "the worker wants a fresh engine", lapse: async (fenced: Fenced) => fenced.allow(0) },
  ])
    it(`kills when ${why}`, async () => {
      await using fenced = await Fenced.start({ command: BOTS });
      fenced.allow(LONG_MS);
      await running(fenced);
      await lapse(fenced);
      await dead(fenced);
    });

  it("kills when its clock goes back, as lxcfs has done", async () => {
    const dir = await mkdtemp("/tmp/br-clock-");
    const clock = join(dir, "uptime");
    await putClock(clock, 100_000);
    await using fenced = await Fenced.start({ command: BOTS, env: { FENCE_UPTIME_FILE: clock } });
    fenced.file.write({ deadline: 9e6 as MonoMs, reading: 1_000 as MonoMs, bootId: fenced.file.bootId });
    await running(fenced);
    await putClock(clock, 99_999);
    await eventually(
      "the fence has struck",
      async () => fenced.file.readTick()?.trips === 1 || undefined,
      20_000,
      async () => fenced.output.join(""),
    );
    await rm(dir, { recursive: true });
  });

  it("kills processes that are stopped and answer nobody", async () => {
    await using fenced = await Fenced.start({ command: BOTS });
    fenced.allow(2_500);
    await running(fenced);
    for (const { pid, name } of await fenced.processes()) if (name === "sleep") process.kill(pid, "SIGSTOP");
    await dead(fenced);
  });

  it("starts the command again with the next deadline, and when it has ended by itself", async () => {
    await using fenced = await Fenced.start({ command: BOTS });
    fenced.allow(1_000);
    await running(fenced);
    await dead(fenced);
    fenced.allow(LONG_MS);
    await running(fenced);
    for (const { pid, name } of await fenced.processes()) if (name === "sleep") process.kill(pid, "SIGKILL");
    await eventually("they are gone", async () => (await names(fenced)).length === 0 || undefined);
    await running(fenced);
    expect(fenced.file.readTick()?.trips).to.equal(1);
  });

  it("tries a command that ends at once about once a second, not in a hot loop", async () => {
    const dir = await mkdtemp("/tmp/br-tries-");
    await using fenced = await Fenced.start({ command: ["sh", "-c", `echo x >>${dir}/tries`] });
    const began = systemClock.mono();
    fenced.allow(LONG_MS);
    const tries = async (): Promise<number> => (await readFile(join(dir, "tries"), "utf8").catch(() => "")).length / 2;
    await eventually("it was tried three times", async () => (await tries()) >= 3 || undefined);
    expect(systemClock.mono() - began).to.be.above(1_800);
    await rm(dir, { recursive: true });
  });

  it("leaves no zombie of a thousand processes that lost their parents", async () => {
    const command = ["sh", "-c", "i=0; while [ $i -lt 1000 ]; do (sleep 0 &) ; i=$((i + 1)); done; sleep 1000 & exec sleep 1001"];
    await using fenced = await Fenced.start({ command });
    fenced.allow(LONG_MS);
    await running(fenced);
    const zombies = async () => (await fenced.processes()).filter((p) => p.state === "Z").length;
    await eventually(
      "all are reaped",
      async () => (await zombies()) === 0 || undefined,
      20_000,
      async () => `${await zombies()} zombies`,
    );
  });

  it("removes what a killed engine left in the way of the next", async () => {
    const dir = await mkdtemp("/tmp/br-pids-");
    await writeFile(join(dir, "a.pid"), "1");
    const command = [
      "sh",
      "-c",
      "while [ -e $2 ]; do sleep 0.1; done; sleep 1000 & exec sleep 1001",
      "dockerd",
      "--pidfile",
      join(dir, "a.pid"),
    ];
    await using fenced = await Fenced.start({ command });
    fenced.allow(LONG_MS);
    await running(fenced);
    await rm(dir, { recursive: true });
  });

  describe("on a node whose kernel has iptables of the old kind", () => {
    let dir: string;
    const kind = (text: string) => ({ text, mode: 0o755 });
    const [broken, works] = [kind("#!/bin/sh\nexit 1\n"), kind('#!/bin/sh\necho "$@" >>"${0%/*}/rules"\n')];
    beforeEach(async () => {
      dir = await mkdtemp("/tmp/br-path-");
      await mkdir(join(dir, "old"));
      for (const name of ["iptables", "ip6tables"]) {
        await writeFile(join(dir, name), broken.text, broken);
        await writeFile(join(dir, "old", name), works.text, works);
      }
    });
    afterEach(() => rm(dir, { recursive: true }));
    const start = (env: Readonly<Record<string, string>>) =>
      Fenced.start({ command: BOTS, env: { PATH: `${dir}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`, ...env } });

    for (const { why, env } of [
      { why: "where nothing is said of it", env: {} },
      { why: "where the Engine is told to, though the new kind works", env: { DOCKER_IPTABLES_LEGACY: "1" } },
    ])
      it(`forbids addresses by that: ${why}`, async () => {
        if ("DOCKER_IPTABLES_LEGACY" in env) for (const name of ["iptables", "ip6tables"]) await writeFile(join(dir, name), works.text);
        await using fenced = await start({ ...env, FENCE_OLD_TABLES: join(dir, "old") });
        fenced.allow(LONG_MS);
        await running(fenced);
        expect(await readFile(join(dir, "old", "rules"), "utf8")).to.include("-A BOT-DENY -d 169.254.0.0/16 -j DROP");
      });

    for (const { why, env } of [
      { why: "the image has none of the old kind", env: () => ({ FENCE_OLD_TABLES: join(dir, "none") }) },
      { why: "the old kind is forbidden", env: () => ({ FENCE_OLD_TABLES: join(dir, "old"), DOCKER_IPTABLES_LEGACY: "" }) },
    ])
      it(`does not start what it cannot keep from forbidden addresses, and says so: ${why}`, async () => {
        await using fenced = await start(env());
        fenced.allow(LONG_MS);
        await eventually("it has said why", async () => fenced.output.join("").includes("cannot forbid addresses to bots") || undefined);
        expect(await names(fenced)).to.deep.equal([]);
      });
  });

  it("ends in order when it is told to", async () => {
    await using fenced = await Fenced.start({ command: ["sh", "-c", "trap 'echo bye; exit' TERM; while :; do sleep 0.1; done"] });
    fenced.allow(LONG_MS);
    await fenced.until("up");
    await eventually("the command runs", async () => (await fenced.processes()).length > 0 || undefined);
    fenced.signal("SIGTERM");
    await fenced.ended;
    expect(fenced.output.join("")).to.include("bye");
  });

  describe("probe", () => {
    it("is content while bots run, and when the lease has lapsed and nothing is left", async () => {
      await using fenced = await Fenced.start({ command: BOTS });
      fenced.allow(3_000);
      await running(fenced);
      expect(await fenced.probe()).to.equal(0);
      await dead(fenced);
      expect(await fenced.probe()).to.equal(0);
    });

    it("fails when the fence has not polled for 5 s", async () => {
      await using fenced = await Fenced.start({ command: BOTS });
      await fenced.until("down");
      const { now = 0, bootId = "" } = fenced.file.readTick() ?? {};
      fenced.signal("SIGSTOP");
      await writeFile(join(fenced.dir, "tick"), `${Math.floor(now / 10) - 600} ${bootId} down 0\n`);
      expect(await fenced.probe()).to.equal(1);
    });
  });
});

/** The busybox of Alpine images, as far as Debian has it: static, and with the ash that docker:dind runs. */
async function busybox(): Promise<string> {
  return fetchPackageFile({ cacheDir: await openCache(process.env), say: () => {} }, "busybox-static", "bin/busybox");
}
