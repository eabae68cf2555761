import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "chai";
import { openCache } from "../../scripts/lib/cache.ts";
import { fetchPackageFile } from "../../scripts/lib/debian.ts";

const FENCE = join(import.meta.dirname, "../../chart/files/fence.sh");
const POD = "/kubepods/burstable/pod7d3/ab12";

/** As /proc/self/mountinfo has a cgroup file system: what of it is mounted, where, and of which kind. */
const mount = (root: string, where: string, kind: "cgroup" | "cgroup2", options: string, peers = ""): string =>
  `36 31 0:32 ${root} ${where} rw,nosuid,nodev,noexec,relatime ${peers}- ${kind} ${kind} rw${options}`;
const ROOT = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw";
const TMPFS = "31 23 0:28 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs rw,mode=755";
const v1Mounts = (root: string): string[] => [
  ROOT,
  TMPFS,
  mount(root, "/sys/fs/cgroup/cpu,cpuacct", "cgroup", ",cpu,cpuacct", "master:11 "),
  mount(root, "/sys/fs/cgroup/memory", "cgroup", ",memory", "master:12 "),
  mount(root, "/sys/fs/cgroup/pids", "cgroup", ",pids"),
  mount(root, "/sys/fs/cgroup/systemd", "cgroup", ",xattr,name=systemd"),
];
const v2Mount = (root: string): string[] => [ROOT, mount(root, "/sys/fs/cgroup", "cgroup2", ",nsdelegate,memory_recursiveprot")];
const v1Own = (path: string): string[] => [`9:name=systemd:${path}`, `8:pids:${path}`, `4:memory:${path}`, `2:cpu,cpuacct:${path}`];
const v2Own = (path: string): string[] => [`0::${path}`];

type Case = { readonly why: string; readonly own: readonly string[]; readonly mounts: readonly string[]; readonly gives: string };
const cases: readonly Case[] = [
  {
    why: "v1, the machine's whole tree is mounted",
    own: v1Own(POD),
    mounts: v1Mounts("/"),
    gives: `cgroup v1 ${POD}/bots`,
  },
  { why: "v1, only the container's part is mounted (containerd)", own: v1Own(POD), mounts: v1Mounts(POD), gives: "cgroup v1 /bots" },
  { why: "v1, in a cgroup namespace", own: v1Own("/"), mounts: v1Mounts("/"), gives: "cgroup v1 /bots" },
  { why: "v1, a part above it is mounted", own: v1Own(POD), mounts: v1Mounts("/kubepods"), gives: `cgroup v1 ${POD.slice(9)}/bots` },
  {
    why: "v1 with memory and processors in one hierarchy",
    own: ["3:cpu,cpuacct,memory:/a", "1:pids:/a"],
    mounts: [TMPFS, mount("/", "/sys/fs/cgroup/cpu,cpuacct,memory", "cgroup", ",cpu,cpuacct,memory")],
    gives: "cgroup v1 /a/bots",
  },
  {
    why: "hybrid: v1 counts, v2 lies beside it",
    own: [...v1Own(POD), ...v2Own(POD)],
    mounts: [...v1Mounts(POD), mount(POD, "/sys/fs/cgroup/unified", "cgroup2", "")],
    gives: "cgroup v1 /bots",
  },
  {
    why: "hybrid, v2's place is another",
    own: [...v1Own(POD), ...v2Own("/system.slice")],
    mounts: [mount("/", "/sys/fs/cgroup/unified", "cgroup2", ""), ...v1Mounts("/")],
    gives: `cgroup v1 ${POD}/bots`,
  },
  {
    why: "v2 without a namespace (containerd, privileged)",
    own: v2Own("/kubepods.slice/kubepods-pod7d3.slice/cri-ab12.scope"),
    mounts: v2Mount("/"),
    gives: "cgroup v2 /kubepods.slice/kubepods-pod7d3.slice/cri-ab12.scope/bots",
  },
  { why: "v2 in a cgroup namespace", own: v2Own("/"), mounts: v2Mount("/"), gives: "cgroup v2 /bots" },
  { why: "v2, only the container's part is mounted", own: v2Own(POD), mounts: v2Mount(POD), gives: "cgroup v2 /bots" },
  { why: "v2, once it has moved into its leaf", own: v2Own(`${POD}/init`), mounts: v2Mount("/"), gives: `cgroup v2 ${POD}/bots` },
  { why: "v2 in a namespace, once it has moved into its leaf", own: v2Own("/init"), mounts: v2Mount("/"), gives: "cgroup v2 /bots" },
  {
    why: "v2, the machine's tree is mounted elsewhere, too",
    own: v2Own("/"),
    mounts: [mount("/", "/host/sys/fs/cgroup", "cgroup2", ""), ...v2Mount("/")],
    gives: "cgroup v2 /bots",
  },
  {
    why: "v1, the machine's tree is mounted elsewhere, too",
    own: v1Own(POD),
    mounts: [mount("/", "/host/sys/fs/cgroup/memory", "cgroup", ",memory"), ...v1Mounts(POD)],
    gives: "cgroup v1 /bots",
  },
  {
    why: "a name that begins as the mounted one does is not below it",
    own: v1Own(`${POD}c`),
    mounts: v1Mounts(POD),
    gives: `cgroup v1 - its own cgroup ${POD}c does not lie in what is mounted`,
  },
  { why: "another part is mounted", own: v2Own("/a"), mounts: v2Mount("/b"), gives: "cgroup v2 - its own cgroup /a does not lie" },
  {
    why: "what is mounted begins outside the namespace",
    own: v2Own("/"),
    mounts: v2Mount("/../../.."),
    gives: "cgroup v2 - what is mounted at /sys/fs/cgroup begins outside its cgroup namespace",
  },
  {
    why: "it was moved out of its namespace",
    own: v2Own("/../other"),
    mounts: v2Mount("/"),
    gives: "cgroup v2 - what is mounted at /sys/fs/cgroup begins outside",
  },
  {
    why: "hierarchies that disagree",
    own: ["8:pids:/", "4:memory:/a", "2:cpu:/a"],
    mounts: v1Mounts("/"),
    gives: "cgroup v1 - it lies at /a by memory and at / by",
  },
  { why: "nothing is mounted", own: v1Own("/a"), mounts: [ROOT], gives: "cgroup v1 - no cgroups that count memory" },
  {
    why: "memory is not counted",
    own: ["2:cpu:/a"],
    mounts: [mount("/", "/sys/fs/cgroup/cpu", "cgroup", ",cpu")],
    gives: "cgroup v1 - no cgroups that count memory",
  },
  { why: "there are no cgroups", own: [], mounts: [], gives: "cgroup v1 - no cgroups that count memory" },
];

describe("chart/files/fence.sh: where bots lie", () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp("/tmp/br-place-");
  });
  after(() => rm(dir, { recursive: true }));

  async function place(shell: readonly string[], own: readonly string[], mounts: readonly string[]): Promise<string> {
    const [program = "sh", ...words] = shell;
    const env = { ...process.env, FENCE_DIR: dir, FENCE_CGROUP_FILE: join(dir, "cgroup"), FENCE_MOUNTS_FILE: join(dir, "mountinfo") };
    await writeFile(env.FENCE_CGROUP_FILE, own.map((line) => `${line}\n`).join(""));
    await writeFile(env.FENCE_MOUNTS_FILE, mounts.map((line) => `${line}\n`).join(""));
    return (await promisify(execFile)(program, [...words, FENCE, "place"], { env })).stdout;
  }

  for (const { why, own, mounts, gives } of cases)
    it(`${gives.includes(" - ") ? "says why nowhere" : "below its own cgroup"}: ${why}`, async () => {
      const said = await place(["sh"], own, mounts);
      expect(gives.includes(" - ") ? said.slice(0, gives.length) : said.trimEnd()).to.equal(gives);
    });

  it("says the same in the image's shell", async function () {
    this.timeout(60_000);
    const busybox = await fetchPackageFile({ cacheDir: await openCache(process.env), say: () => {} }, "busybox-static", "bin/busybox");
    for (const { why, own, mounts } of cases)
      expect(await place([busybox, "ash"], own, mounts), why).to.equal(await place(["sh"], own, mounts));
  });
});
