// The programs of a cluster, built from the Go modules in go/ (go.sum pins each by its content) or taken from Debian's
// packages. Each lies in the cache with its sha256 beside it; what is missing or damaged there is made again.
import { spawn } from "node:child_process";
import { access, chmod, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

import { hashFile, type Place } from "../cache.ts";
import { run, withRetry } from "../command.ts";
import { fetchPackageFile, findProgram, installPackages } from "../debian.ts";
import { ensureGo } from "./go.ts";

type Shelf = Omit<Place, "runDir"> & { readonly signal?: AbortSignal | undefined };

const KUBERNETES = "v1.36.3";
const version = "k8s.io/component-base/version";
const stamps = [`gitVersion=${KUBERNETES}`, "gitMajor=1", "gitMinor=36", "gitTreeState=clean"];

interface Module {
  readonly programs: readonly string[];
  /** What `go build` gets beside the common flags. */
  readonly ldflags?: readonly string[];
  /** A fresh machine's 2 cores take about so long. */
  readonly minutes: number;
  /** Their program has another name than ours. */
  readonly builtName?: string;
  /** The main package is our own main.go; otherwise it is what go.mod names as a tool. */
  readonly isOurs?: boolean;
}

const modules = {
  kubernetes: {
    programs: ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"],
    ldflags: stamps.map((stamp) => `-X ${version}.${stamp}`),
    minutes: 15,
  },
  etcd: { programs: ["etcd"], builtName: "server", minutes: 1 },
  coredns: { programs: ["coredns"], minutes: 2, isOurs: true },
  containerd: { programs: ["containerd", "containerd-shim-runc-v2", "ctr"], minutes: 1 },
  helm3: {
    programs: ["helm3"],
    ldflags: ["-X helm.sh/helm/v3/internal/version.version=v3.22.0"],
    builtName: "helm",
    minutes: 2,
  },
  helm4: {
    programs: ["helm4"],
    ldflags: ["-X helm.sh/helm/v4/internal/version.version=v4.3.1"],
    builtName: "helm",
    minutes: 2,
  },
} satisfies Record<string, Module>;

type ModuleName = keyof typeof modules;
const clusterModules: readonly ModuleName[] = ["etcd", "coredns", "containerd", "kubernetes"];
const pluginPackage = "containernetworking-plugins";
const plugins = ["bridge", "host-local", "loopback", "portmap"];

/** Where the programs lie. `bin` holds the cluster's own under their usual names. */
export interface Tools {
  readonly bin: string;
  readonly plugins: string;
  readonly runc: string;
  readonly busybox: string;
}

/** Makes what the cluster itself consists of. Nothing is installed but small Debian packages that come with services for
 *  nobody: ip, iptables, openssl, an init. @throws {Error} naming what could not be had. */
export async function ensureTools(shelf: Shelf): Promise<Tools> {
  const missing = Object.entries({
    iproute2: await findProgram("ip"),
    iptables: await findProgram("iptables"),
    openssl: await findProgram("openssl"),
    tini: await findProgram("tini", "docker-init"),
  }).flatMap(([name, path]) => (path === undefined ? [name] : []));
  await installPackages(missing, shelf.say);
  const bin = join(shelf.cacheDir, "cluster", "bin");
  for (const name of clusterModules) await ensureModule(name, shelf);
  const dirs = [];
  for (const name of plugins) dirs.push(dirname(await executable(shelf, pluginPackage, `usr/lib/cni/${name}`)));
  return {
    bin,
    plugins: dirs[0] ?? "",
    runc: (await findProgram("runc")) ?? (await executable(shelf, "runc", "usr/sbin/runc")),
    busybox: await executable(shelf, "busybox-static", "bin/busybox"),
  };
}

/** Path of helm 3 or helm 4. A Go-built helm states an odd Kubernetes version offline: pass --kube-version to `template`. */
export async function ensureHelm(major: 3 | 4, shelf: Shelf): Promise<string> {
  await ensureModule(`helm${major}`, shelf);
  return join(shelf.cacheDir, "cluster", "bin", `helm${major}`);
}

async function executable(shelf: Shelf, name: string, file: string): Promise<string> {
  const path = await fetchPackageFile(shelf, name, file);
  await chmod(path, 0o755);
  return path;
}

// The stamp of a program is the recipe it was built by and its own hash: a changed go.mod or a damaged file builds anew.
async function ensureModule(name: ModuleName, shelf: Shelf): Promise<void> {
  const module: Module = modules[name];
  const bin = join(shelf.cacheDir, "cluster", "bin");
  const source = join(import.meta.dirname, "go", name);
  const files = ["go.mod", "go.sum", ...(module.isOurs === true ? ["main.go"] : [])];
  const hashes = await Promise.all(files.map((file) => hashFile(join(source, file))));
  const recipe = [...hashes, ...(module.ldflags ?? [])].join(" ");
  const isComplete = async () => {
    for (const program of module.programs) {
      const stamp = await readFile(join(bin, `${program}.stamp`), "utf8").catch(() => "");
      if (stamp !== `${recipe}\n${await hashFile(join(bin, program)).catch(() => "")}\n`) return false;
    }
    return true;
  };
  if (await isComplete()) return;
  await mkdir(bin, { recursive: true });
  await cleanBuilds(shelf.cacheDir);
  const go = await ensureGo(shelf);
  const work = await mkdtemp(join(shelf.cacheDir, "cluster", `build-${process.pid}-`));
  try {
    const began = performance.now();
    shelf.say(`${name}: building ${module.programs.join(", ")} from Go modules, once (about ${module.minutes} min on two idle cores)`);
    await withRetry(`download the Go modules of ${name}`, shelf.say, () => run(go, ["mod", "download"], { cwd: source, env: goEnv() }));
    const flags = ["-s", "-w", ...(module.ldflags ?? [])].join(" ");
    await build(
      go,
      name,
      ["build", "-v", "-trimpath", "-ldflags", flags, "-o", `${work}/`, module.isOurs === true ? "." : "tool"],
      source,
      shelf,
    );
    for (const program of module.programs) {
      const built = join(work, module.builtName ?? program);
      const stamp = `${recipe}\n${await hashFile(built)}\n`;
      await rename(built, join(bin, program));
      await writeFile(join(bin, `${program}.stamp`), stamp);
    }
    shelf.say(`${name}: built in ${Math.round((performance.now() - began) / 1000)} s`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

// A build may take a quarter of an hour: it says every 20 s how far it is, and yields to everything else on the machine.
async function build(go: string, name: string, args: readonly string[], cwd: string, { say, signal }: Shelf): Promise<void> {
  const child = spawn("nice", ["-n", "19", go, ...args], { cwd, env: goEnv(), stdio: ["ignore", "ignore", "pipe"], signal });
  let packages = 0;
  const last: string[] = [];
  const lines = createInterface(child.stderr).on("line", (line) => {
    if (/^[\w.-]+(\/[\w.~-]+)*$/.test(line)) packages += 1;
    else if (last.push(line) > 15) last.shift();
  });
  const progress = setInterval(() => say(`${name}: ${packages} packages compiled so far`), 20_000);
  try {
    const code = await new Promise<number | string>((done, fail) => {
      child.once("error", fail);
      child.once("close", (status, by) => done(status ?? by ?? "?"));
    });
    if (code !== 0) throw new Error(`Cannot build ${name} (${code}):\n${last.join("\n")}`);
  } finally {
    clearInterval(progress);
    lines.close();
  }
}

// Static programs: no compiler for C is needed, and they run in any image.
const goEnv = (): NodeJS.ProcessEnv => ({
  ...process.env,
  CGO_ENABLED: "0",
  GOTOOLCHAIN: "local",
  GOWORK: "off",
  GOFLAGS: `-p=${process.env["CLUSTER_BUILD_JOBS"] || "2"} -buildvcs=false`,
});

/** Removes what a killed build has left half-made. */
async function cleanBuilds(cacheDir: string): Promise<void> {
  const dir = join(cacheDir, "cluster");
  for (const name of await readdir(dir).catch(() => [])) {
    const pid = /^build-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !(await isThere(`/proc/${pid}`))) await rm(join(dir, name), { recursive: true, force: true });
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
