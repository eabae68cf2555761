// npm run smoke:cgroup2: where bots lie on cgroup v2. This machine may have v1, so a kernel of Debian's is booted in an emulator, with
// the chart's fence and a Docker Engine in it. Says what was shown and what was not; exits with 0 if all of it held.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { openCache, type Say } from "../lib/cache.ts";
import { fetchPackageFile, findProgram, installPackages } from "../lib/debian.ts";
import { openRun } from "../lib/run-dir.ts";
import { boot, type Bootable, buildMachine, kernelVersion, readScript } from "./machine.ts";

/** An emulator without hardware help needs minutes for what takes seconds. */
const LIMIT_MS = 15 * 60_000;
const MEMORY_MB = 3_072;
/** What the script has to say; fewer lines mean that it came to an end before its end. */
const END = "DONE";

const say: Say = (line) => console.log(`-- ${line}`);

/** Stands in for iptables: addresses are not what this is about, and the kernel's modules are not on the disk. */
const NO_IPTABLES = "#!/bin/sh\nexit 0\n";

async function build(runDir: string): Promise<Bootable> {
  const cacheDir = await openCache(process.env);
  if ((await findProgram("dockerd")) === undefined) await installPackages(["docker.io"], say);
  const programs: Record<string, string> = { docker: await fetchPackageFile({ cacheDir, say }, "docker.io", "usr/bin/docker") };
  for (const name of ["dockerd", "containerd", "containerd-shim-runc-v2", "runc", "unshare"]) {
    const path = await findProgram(name);
    if (path === undefined) throw new Error(`Cannot find ${name}, which docker.io or util-linux brings`);
    programs[name] = path;
  }
  const iptables = join(runDir, "no-iptables");
  await writeFile(iptables, NO_IPTABLES, { mode: 0o755 });
  const fence = join(import.meta.dirname, "..", "..", "chart", "files", "fence.sh");
  return buildMachine({
    runDir,
    cacheDir,
    say,
    programs: { ...programs, iptables, ip6tables: iptables },
    files: { "fence.sh": fence },
    init: await readScript("cgroup2-init.sh"),
    memoryMb: MEMORY_MB,
  });
}

const run = await openRun();
const count = { ok: 0, fail: 0 };
let isDone = false;
try {
  const machine = await build(run.dir);
  say(`booting ${kernelVersion(machine.kernel)} in an emulator, for ${LIMIT_MS / 60_000} minutes at most`);
  const rest: string[] = [];
  const ended = await boot(machine, LIMIT_MS, (text) => {
    const line = text.trimEnd();
    const [, verdict, what] = /^SHOW (ok|fail) (.*)$/.exec(line) ?? [];
    if (verdict === "ok" || verdict === "fail") {
      count[verdict] += 1;
      console.log(`${verdict.padEnd(4)}  ${what}`);
    } else if (line.startsWith("NOTE ")) say(line.slice(5));
    else if (line === END) isDone = true;
    else if (line !== "") rest.push(line);
  });
  if (!isDone) {
    for (const line of rest.slice(-20)) console.log(`      ${line}`);
    say(
      ended === "late"
        ? "the machine did not come to its end in time: what is not above was not shown"
        : "the machine went down before its end",
    );
  }
} catch (error) {
  say(`nothing was shown of cgroup v2: ${error instanceof Error ? error.message : String(error)}`);
} finally {
  await run.remove();
}
console.log(`${count.ok} shown, ${count.fail} failed${isDone ? "" : ", not to the end"}`);
process.exitCode = isDone && count.fail === 0 ? 0 : 1;
