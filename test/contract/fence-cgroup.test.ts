import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { removeCgroup } from "../../scripts/lib/run-dir.ts";
import { enterContainer, mountOnlyItsPart, mountV2 } from "../support/container-cgroup.ts";
import { eventually } from "../support/eventually.ts";
import { Fenced } from "../support/fenced.ts";

type Started = {
  readonly name: string;
  /** What the engine was started with. */
  readonly args: readonly string[];
  readonly fenced: Fenced;
};

describe("chart/files/fence.sh: the parent that it gives its engine", () => {
  let dir: string;
  let name: string;
  before(function () {
    if (process.getuid?.() !== 0 || !existsSync("/sys/fs/cgroup/memory/release_agent")) this.skip();
  });
  beforeEach(async () => {
    dir = await mkdtemp("/tmp/br-parent-");
    name = dir.slice("/tmp/".length);
    // In the place of dockerd, whose name is what the fence goes by.
    await writeFile(join(dir, "dockerd"), `printf '%s\\n' "$@" >${dir}/args.new; mv ${dir}/args.new ${dir}/args; exec sleep 1000\n`);
  });
  afterEach(async () => {
    await removeCgroup(name);
    for (const path of [dir, `${dir}-old`, `${dir}-new`]) await rm(path, { recursive: true, force: true });
  });

  /** Starts a fence in a container's cgroup, and hands over what its engine was started with. */
  async function withFence(
    { before = "", args = ["--icc=false"], program = "dockerd" }: { before?: string; args?: readonly string[]; program?: string },
    look: (started: Started) => Promise<void> | void,
  ): Promise<void> {
    if (program !== "dockerd") await writeFile(join(dir, program), await readFile(join(dir, "dockerd")));
    await using fenced = await Fenced.start({
      before: `${enterContainer(name)}\n${before}`,
      command: ["sh", join(dir, program), ...args],
    });
    fenced.allow(60_000);
    const started = await eventually(
      "the engine was started",
      async () => (await readFile(join(dir, "args"), "utf8").catch(() => "")) || undefined,
      20_000,
      async () => fenced.output.join(""),
    );
    await look({ name, args: started.trimEnd().split("\n"), fenced });
  }
  const cgroup = (fenced: Fenced) => fenced.file.readGround()?.cgroup;

  it("is below the container's cgroup, seen from the machine's root", () =>
    withFence({}, ({ args, fenced }) => {
      expect(args).to.deep.equal(["--icc=false", `--cgroup-parent=/${name}/ctr/bots`]);
      expect(cgroup(fenced)).to.deep.equal({ version: "v1", parent: `/${name}/ctr/bots` });
      expect(fenced.file.readGround()?.denied).to.include("169.254.0.0/16");
      expect(fenced.output.join("")).to.not.include("bots lie");
    }));

  it("is below the container's cgroup, seen from there", () =>
    withFence({ before: mountOnlyItsPart(name) }, ({ args }) => {
      expect(args.at(-1)).to.equal("--cgroup-parent=/bots");
      expect(existsSync(`/sys/fs/cgroup/memory/${name}/ctr/bots`)).to.equal(true);
    }));

  for (const { limit, gives } of [
    { limit: 4096, gives: 3584 },
    { limit: 1024, gives: 832 },
    { limit: 256, gives: 128 },
    { limit: 64, gives: 32 },
  ])
    it(`leaves room for itself and the engine: of ${limit} MiB bots get ${gives}`, () =>
      withFence({ before: `echo ${limit}M >/sys/fs/cgroup/memory/${name}/ctr/memory.limit_in_bytes` }, async () => {
        const bound = await readFile(`/sys/fs/cgroup/memory/${name}/ctr/bots/memory.limit_in_bytes`, "utf8");
        expect(Number(bound)).to.equal(gives * 1024 * 1024);
      }));

  it("bounds nothing where the container has no bound", () =>
    withFence({}, async () => {
      const read = (of: string) => readFile(`/sys/fs/cgroup/memory/${of}/memory.limit_in_bytes`, "utf8");
      expect(await read(`${name}/ctr/bots`)).to.equal(await read(`${name}/ctr`));
    }));

  for (const { why, says, over } of [
    {
      why: "cgroups are read-only",
      says: "is read-only",
      over: () => ({ before: "mount -o remount,bind,ro /sys/fs/cgroup/memory" }),
    },
    { why: "there are no cgroups", says: "no cgroups that count memory", over: () => ({ before: "umount --lazy /sys/fs/cgroup" }) },
    {
      why: "it lies in no cgroup of its own",
      says: "no cgroup of its own",
      over: () => ({ before: 'for h in /sys/fs/cgroup/*/; do echo $$ >"$h/cgroup.procs"; done' }),
    },
    { why: "its arguments name one", says: "--cgroup-parent /mine", over: () => ({ args: ["--cgroup-parent", "/mine", "--icc=false"] }) },
    {
      why: "its arguments name one in one word",
      says: "--cgroup-parent=/mine",
      over: () => ({ args: ["--cgroup-parent=/mine", "--icc=false"] }),
    },
    {
      why: "systemd makes its cgroups",
      says: "cgroupdriver=systemd",
      over: () => ({ args: ["--exec-opt", "native.cgroupdriver=systemd"] }),
    },
    { why: "what it starts is no dockerd", says: "no dockerd", over: () => ({ program: "other" }) },
    { why: "v2 has no memory to hand down", says: "does not hand the memory controller down", over: () => ({ before: mountV2 }) },
  ])
    it(`is none, and the engine starts as it was told, where ${why}`, () => {
      const given = over();
      return withFence(given, ({ args, fenced }) => {
        expect(args).to.deep.equal("args" in given ? given.args : ["--icc=false"]);
        expect((cgroup(fenced) as { readonly why: string }).why).to.include(says);
        expect(fenced.output.join("")).to.include("fence: bots lie where the engine puts them").and.to.include(says);
      });
    });

  it("leaves the container's own cgroup for a leaf on v2, with all that ran there, before anything else starts", () =>
    withFence({ before: `sleep 1001 &\n${mountV2}` }, async ({ fenced }) => {
      const own = await Promise.all(
        [{ pid: await fenced.pid(), name: "the fence" }, ...(await fenced.processes())].map(async ({ pid, name: what }) => {
          const text = await readFile(`/proc/${pid}/cgroup`, "utf8");
          return [what, /^0::(.*)$/m.exec(text)?.[1]];
        }),
      );
      expect(own).to.have.lengthOf.at.least(3);
      for (const [what, path] of own) expect(path, what).to.equal(`/${name}/ctr/init`);
      expect(fenced.state()).to.equal("up");
    }));

  it("says what is wrong once, however often the engine is started", () =>
    withFence({ program: "other" }, async ({ fenced }) => {
      const before = await readFile(join(dir, "args"));
      await rm(join(dir, "args"));
      for (const { pid, name: what } of await fenced.processes()) if (what === "sleep") process.kill(pid, "SIGKILL");
      await eventually("it was started again", async () => existsSync(join(dir, "args")) || undefined);
      expect(await readFile(join(dir, "args"))).to.deep.equal(before);
      expect(fenced.output.join("").split("bots lie")).to.have.lengthOf(2);
    }));
});
