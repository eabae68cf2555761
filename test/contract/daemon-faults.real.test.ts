import { once } from "node:events";
import { mkdir, mkdtemp, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import Docker from "dockerode";
import { BOT_IMAGE as IMAGE, ensureBotImage } from "../../scripts/lib/bot-image.ts";
import { openCache } from "../../scripts/lib/cache.ts";
import { run } from "../../scripts/lib/command.ts";
import { type PrivateDocker, startPrivateDocker } from "../../scripts/lib/private-docker.ts";
import { openRun } from "../../scripts/lib/run-dir.ts";
import { signalDocker } from "../../scripts/lib/signal-docker.ts";
import { containerName, type SegmentId } from "../../src/core/ids.ts";
import type { RunRecord, StatusRecord } from "../../src/core/records.ts";
import { createEngine } from "../../src/docker/engine.ts";
import { eventually } from "../support/eventually.ts";
import { bot } from "../support/builders.ts";
import { aDocument, Fleet, placeOf } from "../support/fleet.ts";
import { startHangingVolumes } from "../support/hanging-volumes.ts";
import { startMutingProxy } from "../support/muting-proxy.ts";
import { runClock } from "../support/run-clock.ts";

const isPrivate = process.env["DOCKER_IS_PRIVATE"] === "true";
/** Room for the engine's data, on a file system that goes with the test: it can be filled, and it leaves nothing. */
const DISK = "512m";
const idle = (id: string, over: object = {}) => aDocument(id, { command: ["sleep", "600"], stopGraceSeconds: 0, ...over });

// An engine of its own, for what is done to it here would be felt by other tests.
(isPrivate ? describe : describe.skip)("Daemon faults: a worker on a real Docker Engine", function () {
  this.timeout(90_000);
  let place: { readonly runDir: string; readonly cacheDir: string; say(): void };
  let removeRun: () => Promise<void>;
  let docker: PrivateDocker;
  let bare: Docker;
  let fleet: Fleet<ReturnType<typeof createEngine>>;

  before(async () => {
    const made = await openRun();
    removeRun = made.remove;
    place = { runDir: made.dir, cacheDir: join(made.dir, "disk"), say: () => {} };
    await mkdir(place.cacheDir);
    await run("mount", ["-t", "tmpfs", "-o", `size=${DISK}`, "none", place.cacheDir]);
    docker = await startPrivateDocker(place);
    await ensureBotImage(docker.dockerHost, await openCache(process.env), () => {});
    bare = new Docker({ socketPath: docker.dockerHost.replace("unix://", "") });
  });
  after(async () => {
    await signalDocker(place.runDir, "SIGCONT");
    await signalDocker(place.runDir, "SIGKILL"); // quicker than a kill of each container
    await docker?.stop();
    await run("umount", [place.cacheDir]);
    await removeRun();
  });

  /** A fleet whose clock keeps pace with ours, or runs `stepMs` every two milliseconds. */
  async function world(stepMs?: number, dockerHost = docker.dockerHost) {
    const stateDir = await mkdtemp(join(place.runDir, "state-"));
    fleet = new Fleet((clock) => createEngine({ dockerHost, stateDir, clock, random: Math.random }));
    let pace = runClock(fleet.clock, stepMs);
    const status = (id: string) => fleet.store.get<StatusRecord>("status", id);
    return {
      status,
      runs: () => [...fleet.store.runs.values()] as RunRecord[],
      untilRuns: (id: string) =>
        eventually(
          `"${id}" runs`,
          async () => status(id)?.state === "running",
          30_000,
          async () => JSON.stringify(status(id)),
        ),
      async setPace(step?: number) {
        await pace[Symbol.asyncDispose]();
        pace = runClock(fleet.clock, step);
      },
      async [Symbol.asyncDispose]() {
        await pace[Symbol.asyncDispose]();
        fleet.engine.close();
        await fleet.end();
        await rm(stateDir, { recursive: true, force: true });
        const left = await bare.listContainers({ all: true });
        if (left.length > 10) return;
        await Promise.all(left.map(({ Id }) => bare.getContainer(Id).remove({ force: true, v: true })));
      },
    };
  }
  const containers = async () => (await bare.listContainers({ all: true })).map(({ Id, State }) => `${Id.slice(0, 12)} ${State}`).sort();

  it("gives up calls to a daemon that stands still, and goes on where it was", async () => {
    await using w = await world();
    await fleet.start(idle("a"), idle("b"));
    for (const id of ["a", "b"]) await w.untilRuns(id);
    const before = await containers();
    await signalDocker(place.runDir, "SIGSTOP");
    const failed: string[] = [];
    fleet.bus.on("round:failed", ({ loop }) => failed.push(loop));
    await w.setPace(100);
    await fleet.engine.ping().then(
      () => expect.fail("a daemon that stands still has answered"),
      (error: Error) => expect(error.message).to.match(/no complete answer within 5 s/),
    );
    await eventually("the list has given up", async () => failed.includes("reconcile"));
    await signalDocker(place.runDir, "SIGCONT");
    await w.setPace();
    fleet.store.putBot(idle("c"));
    await w.untilRuns("c");
    expect((await containers()).filter((c) => before.includes(c))).to.deep.equal(before);
  });

  it("records what died with its daemon, runs it again, and hears of its end again", async () => {
    await using w = await world();
    const hints: (string | undefined)[] = [];
    const over = new AbortController();
    const watching = fleet.engine.watch((hint) => hints.push(hint), over.signal);
    await fleet.start(idle("a"), idle("b"));
    for (const id of ["a", "b"]) await w.untilRuns(id);
    const before = await containers();
    await signalDocker(place.runDir, "SIGKILL");
    await docker.restart();
    await eventually("both ends are recorded", async () => w.runs().length === 2);
    // The end is recorded before the status: that still tells of the run before.
    await eventually("two other containers run", async () => {
      const now = await containers();
      return now.length === 2 && now.every((c) => c.endsWith(" running") && !before.includes(c));
    });
    for (const id of ["a", "b"]) await w.untilRuns(id);
    expect(w.runs().map(({ oom, endedWhy }) => [oom, endedWhy])).to.deep.equal([
      ["no", "lost"],
      ["no", "lost"],
    ]);
    const [first = ""] = (await bare.listContainers({ filters: { label: ["botrunner.bot=a"] } })).map(({ Id }) => Id);
    expect(first).to.not.equal("");
    hints.length = 0;
    await bare.getContainer(first).kill();
    await eventually("a hint", async () => hints.includes("a"));
    over.abort();
    await watching;
    await eventually("its third run", async () => w.runs().length === 3);
    await w.untilRuns("a");
    expect(await containers()).to.have.lengthOf(2);
  });

  it("takes a name that a create under way has for held by nothing, until that create is over", async () => {
    await using w = await world();
    await using volumes = await startHangingVolumes(join(place.cacheDir, "docker-1", "etc"), join(place.runDir, "volumes.sock"));
    const HostConfig = {
      Mounts: [{ Type: "volume", Source: "v", Target: "/v", VolumeOptions: { DriverConfig: { Name: volumes.driver } } }],
    };
    const stuck = bare.createContainer({ name: containerName(bot("a")), Image: IMAGE, HostConfig } as Docker.ContainerCreateOptions).then(
      () => "made",
      (error: Error) => error.message,
    );
    await volumes.asked;
    await fleet.start(idle("a"));
    await eventually("the bot waits", async () => w.status("a")?.state === "backoff");
    expect(w.status("a")?.message).to.match(/holds the name .*no container has it$/);
    volumes.release();
    expect(await stuck).to.include("no such luck");
    await w.untilRuns("a");
  });

  it("notices by a list that its event stream has fallen silent", async () => {
    const socket = join(place.runDir, "proxy.sock");
    await using proxy = await startMutingProxy(socket, docker.dockerHost.replace("unix://", ""));
    await using w = await world(undefined, `unix://${socket}`);
    await fleet.start(idle("a"));
    await w.untilRuns("a");
    const { container } = w.status("a") ?? {};
    const listed = once(fleet.bus, "reconcile:done");
    await w.setPace(40);
    await listed;
    proxy.mute();
    await bare.getContainer(container ?? "").kill();
    await eventually("another stream", async () => proxy.watches.length === 2);
    expect(proxy.watches[1]).to.contain("since=");
    await w.setPace();
    await w.untilRuns("a");
    expect(w.runs()).to.have.lengthOf(1);
  });

  it("leaves a stranger's containers alone, whatever labels they borrow", async () => {
    await using _ = await world();
    const own = { "botrunner.bot": "a", "botrunner.seg": "1", "botrunner.epoch": "1", "botrunner.sid": "engine-1", "botrunner.spec": "x" };
    for (const [n, Labels] of [own, { ...own, "botrunner.managed": "0" }, { "botrunner.managed": "1", "botrunner.bot": "a" }].entries()) {
      const stranger = await bare.createContainer({ name: `stranger-${n}`, Image: IMAGE, Cmd: ["sleep", "600"], Labels });
      await stranger.start();
    }
    const before = await containers();
    const { worker } = await fleet.start(idle("a"));
    await eventually("the bot runs beside them", async () => (await containers()).length === 4);
    expect(await worker.drain(new AbortController().signal)).to.equal(true);
    expect(await containers()).to.deep.equal(before);
  });

  it("says that the disk is full, and starts the bot when it is not any more", async () => {
    await using w = await world();
    const filler = join(place.cacheDir, "filler");
    const { bavail, bsize } = await statfs(place.cacheDir);
    await run("fallocate", ["-l", String(bavail * bsize), filler]);
    await fleet.start(idle("a"));
    await eventually(
      "it says so",
      async () => /no space left on device/.test(w.status("a")?.message ?? ""),
      20_000,
      async () => JSON.stringify(w.status("a")),
    );
    expect(w.status("a")?.state).to.equal("backoff");
    await rm(filler);
    await w.untilRuns("a");
    expect(await containers()).to.have.lengthOf(1);
  });

  // The last one: what it leaves goes with the engine.
  it("starts a hundred bots, at most four at a time, and each segment in its turn", async () => {
    await using w = await world();
    const { engine } = fleet;
    const [create, start] = [engine.create.bind(engine), engine.start.bind(engine)];
    const order: number[] = [];
    let [now, most] = [0, 0];
    engine.create = async (wanted) => {
      order.push(wanted.segment);
      most = Math.max(most, ++now);
      return create(wanted);
    };
    engine.start = async (id) => start(id).finally(() => (now -= 1));
    const ids = Array.from({ length: 100 }, (_, n) => `bot-${n}`);
    await fleet.start(...ids.map((id) => idle(id)));
    await eventually("all run", async () => ids.every((id) => w.status(id)?.state === "running"), 80_000);
    expect([most, order.length, (await bare.listContainers()).length]).to.deep.equal([4, 100, 100]);
    const left = Map.groupBy(
      ids.map((id) => placeOf(id)),
      (place) => place,
    );
    const begun = new Map<number, number>();
    for (const [n, place] of order.entries()) {
      begun.set(place, (begun.get(place) ?? 0) + 1);
      left.get(place as SegmentId)?.pop();
      const waiting = [...left].filter(([, bots]) => bots.length > 0).map(([segment]) => begun.get(segment) ?? 0);
      // The first four found free slots and nobody in the row.
      if (n >= 4) expect((begun.get(place) ?? 0) - Math.min(...waiting, Infinity)).to.be.at.most(2);
    }
  });
});
