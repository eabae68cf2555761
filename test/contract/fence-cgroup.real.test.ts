import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import Docker from "dockerode";
import { BOT_IMAGE, ensureBotImage } from "../../scripts/lib/bot-image.ts";
import { openCache } from "../../scripts/lib/cache.ts";
import { findProgram } from "../../scripts/lib/debian.ts";
import { removeCgroup } from "../../scripts/lib/run-dir.ts";
import { enterContainer, mountOnlyItsPart } from "../support/container-cgroup.ts";
import { eventually } from "../support/eventually.ts";
import { Fenced } from "../support/fenced.ts";

const MEMORY = "/sys/fs/cgroup/memory";
const MIB = 1024 * 1024;
/** What the container of the fence may use, and what of it is not for bots. */
const LIMIT = 400 * MIB;
const ROOM = 192 * MIB;

describe("chart/files/fence.sh: bots lie in the container's cgroup (v1)", function () {
  this.timeout(120_000);
  let dockerd: string;
  before(async function () {
    const found = await findProgram("dockerd");
    if (process.getuid?.() !== 0 || found === undefined || !existsSync(`${MEMORY}/memory.limit_in_bytes`)) return this.skip();
    dockerd = found;
  });

  for (const { why, more, parent } of [
    { why: "where the machine's whole tree is mounted", more: () => "", parent: (name: string) => `/${name}/ctr/bots` },
    { why: "where only the container's part is mounted", more: mountOnlyItsPart, parent: () => "/bots" },
  ])
    it(`counts and bounds them there, and lets the fence live: ${why}`, async () => {
      await using engine = await FencedDockerd.start(dockerd, more);
      const { name, docker, fenced } = engine;
      expect(fenced.file.readGround()?.cgroup).to.deep.equal({ version: "v1", parent: parent(name) });

      const bot = await docker.createContainer({
        Image: BOT_IMAGE,
        Cmd: ["sh", "-c", "sleep 1000"],
        HostConfig: { NetworkMode: "none", Memory: 2048 * MIB },
      });
      await bot.start();
      const { State } = await bot.inspect();
      const pid = await engine.outerPid(State.Pid);
      const own = /^\d+:memory:(.*)$/m.exec(await readFile(`/proc/${pid}/cgroup`, "utf8"))?.[1];
      expect(own).to.equal(`/${name}/ctr/bots/${bot.id}`);
      expect(await number(`${MEMORY}/${name}/ctr/bots/memory.limit_in_bytes`)).to.equal(LIMIT - ROOM);

      // By its own limit it might use more than the container has.
      const eater = await docker.createContainer({
        Image: BOT_IMAGE,
        Cmd: ["sh", "-c", "tail /dev/zero"],
        HostConfig: { NetworkMode: "none", Memory: 2048 * MIB, OomScoreAdj: 500 },
      });
      await eater.start();
      await eater.wait();
      expect((await eater.inspect()).State.ExitCode).to.equal(137);
      expect(await number(`${MEMORY}/${name}/ctr/bots/memory.failcnt`), "it met the bots' bound").to.be.above(0);
      expect(await number(`${MEMORY}/${name}/ctr/memory.max_usage_in_bytes`), "the pod's figure holds the bots'").to.be.above(LIMIT / 2);
      expect((await bot.inspect()).State.Running, "the other bot").to.equal(true);
      expect((await docker.ping()).toString()).to.equal("OK");
      expect(fenced.file.readTick()?.trips).to.equal(0);
    });
});

/** An Engine that its fence starts in a cgroup as a container has it, without a word of its own about where bots lie. */
class FencedDockerd {
  readonly name: string;
  readonly fenced: Fenced;
  readonly docker: Docker;
  readonly #dir: string;
  readonly #lease: NodeJS.Timeout;

  private constructor(dir: string, name: string, fenced: Fenced) {
    this.name = name;
    this.fenced = fenced;
    this.docker = new Docker({ socketPath: join(dir, "docker.sock") });
    this.#dir = dir;
    fenced.allow(30_000);
    this.#lease = setInterval(() => fenced.allow(30_000), 5_000);
  }

  static async start(dockerd: string, more: (name: string) => string): Promise<FencedDockerd> {
    const dir = await mkdtemp("/tmp/br-cg-");
    const name = dir.slice("/tmp/".length);
    await mkdir(join(dir, "etc"));
    await writeFile(join(dir, "none.json"), "{}");
    const fenced = await Fenced.start({
      before: [
        enterContainer(name),
        `echo ${LIMIT} >${MEMORY}/${name}/ctr/memory.limit_in_bytes`,
        more(name),
        `[ ! -d /etc/docker ] || mount --bind ${dir}/etc /etc/docker`,
        "[ ! -d /run/containerd ] || mount -t tmpfs none /run/containerd",
      ].join("\n"),
      command: [
        [dockerd, "--config-file", join(dir, "none.json"), "--data-root", join(dir, "data"), "--exec-root", join(dir, "exec")],
        ["--pidfile", join(dir, "docker.pid"), "-H", `unix://${dir}/docker.sock`, "--userland-proxy=false", "--icc=false"],
        ["--exec-opt", "native.cgroupdriver=cgroupfs"],
      ].flat(),
    });
    const engine = new FencedDockerd(dir, name, fenced);
    const answers = (): Promise<true | undefined> =>
      engine.docker.ping().then(
        () => true,
        () => undefined,
      );
    await eventually("dockerd answers", answers, 60_000, async () => fenced.output.join("").slice(-3_000));
    await ensureBotImage(`unix://${dir}/docker.sock`, await openCache(process.env), () => {});
    return engine;
  }

  /** As this machine numbers a process that the Engine numbers so. */
  async outerPid(inner: number): Promise<number> {
    const found = await Promise.all(
      (await this.fenced.processes()).map(async ({ pid }) => {
        const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
        const numbers = /^NSpid:\t(.*)$/m.exec(status)?.[1]?.split("\t") ?? [];
        return numbers[1] === String(inner) ? pid : undefined;
      }),
    );
    const pid = found.find((one) => one !== undefined);
    if (pid === undefined) throw new Error(`There is no process ${inner} behind the fence`);
    return pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#lease);
    await this.fenced[Symbol.asyncDispose]();
    await removeCgroup(this.name);
    for (const dir of [this.#dir, `${this.#dir}-old`, `${this.#dir}-new`]) await rm(dir, { recursive: true, force: true });
  }
}

async function number(path: string): Promise<number> {
  return Number((await readFile(path, "utf8")).trim());
}
