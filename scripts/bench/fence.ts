// K of ownership.md: how long the fence takes from the deadline until no bot can run any more, with a machine that has its
// hands full; and beside it how long until nothing is left, which is the fence's own word for it.
//
// The two differ by what is dead but not gone. A process whose SIGKILL is pending never comes back from the kernel to its
// program: one that spins ends at its next turn on a processor, and one that waits for the disk, such as `dd` in its fsync,
// ends when the disk has answered, which can take a second. Neither can trade.
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, loadavg, setPriority } from "node:os";

import { KUBERNETES_TIMINGS } from "../../src/core/timings.ts";
import { systemClock } from "../../src/process/clock.ts";
import { eventually } from "../../test/support/eventually.ts";
import { Fenced } from "../../test/support/fenced.ts";
import { median, summary } from "../lib/bench.ts";

const ROUNDS = 12;
const BOTS = 100;
const LEASE_MS = 4_000;
/** How long it may take until all bots spin, and until nothing is left, in ms. */
const SPIN_LIMIT_MS = 120_000;
const OVER_LIMIT_MS = 60_000;
/** The configured K must be at least so many times the worst that was measured. Source: ownership.md, "The fence". */
const MARGIN = 2;

// Ahead of what it has spin, or it could neither renew nor see.
setPriority(-15);
const dir = await mkdtemp("/tmp/br-bench-fence-");
/** Comes to be when the last bot was started. */
const allSpin = `${dir}/all`;
// Spinning bots, and one that writes to the disk as fast as it takes it.
const command = [
  "sh",
  "-c",
  `dd if=/dev/zero of=${dir}/disk bs=1M count=4096 conv=fsync 2>/dev/null & i=0; while [ $i -lt ${BOTS} ]; do (while :; do :; done) & i=$((i + 1)); done; : >${allSpin}; wait`,
];
/** Bit 9 of the mask, counted from 1. */
const SIGKILL_PENDING = 0x100n;
const killed: number[] = [];
const took: number[] = [];
try {
  await using fenced = await Fenced.start({ command });
  for (let round = 1; round <= ROUNDS; round++) {
    await fenced.until("down");
    // On a busy machine it takes long until all are there, each in the way of the next: the lease is renewed until then.
    await rm(allSpin, { force: true });
    let deadline = 0;
    const renew = (): void => {
      deadline = systemClock.mono() + LEASE_MS;
      fenced.allow(LEASE_MS);
    };
    renew();
    const renewing = setInterval(renew, LEASE_MS / 8);
    const look = async (): Promise<true | undefined> => existsSync(allSpin) || undefined;
    await eventually("all bots spin", look, SPIN_LIMIT_MS).finally(() => clearInterval(renewing));
    let alive = (await fenced.processes()).map(({ pid }) => pid);
    const nobodyRuns = async (): Promise<number | undefined> => {
      alive = alive.filter(canRun);
      return alive.length === 0 ? systemClock.mono() : undefined;
    };
    const dead = await eventually("no bot can run", nobodyRuns, OVER_LIMIT_MS);
    killed.push(dead - deadline);
    // What the fence says when all is over carries the time of its own clock.
    const isOver = async (): Promise<number | undefined> => {
      const tick = fenced.file.readTick();
      return tick?.state === "down" && tick.now >= deadline ? tick.now : undefined;
    };
    const over = await eventually("nothing is left", isOver, OVER_LIMIT_MS);
    took.push(over - deadline);
    console.log(
      `bench:fence: round ${round} of ${ROUNDS}: ${Math.round(dead - deadline)} ms, nothing left at ${Math.round(over - deadline)} ms`,
    );
  }
} finally {
  await rm(dir, { recursive: true, force: true });
}
const worst = Math.max(...killed);
const { killMs } = KUBERNETES_TIMINGS;
console.log(
  `bench:fence: ${cpus().length} x ${cpus()[0]?.model ?? "?"}, load ${loadavg()[0]?.toFixed(1)}: from the deadline until none of ` +
    `${BOTS} spinning bots and a disk writer can run ${summary(killed, "ms", 0)}, median ${Math.round(median(killed))} ms; ` +
    `K is ${killMs} ms, ${(killMs / worst).toFixed(1)} times the worst (at least ${MARGIN}); nothing is left ${summary(took, "ms", 0)}, ` +
    `median ${Math.round(median(took))} ms`,
);
if (killMs < MARGIN * worst) process.exitCode = 1;

/** Whether a process can still come to its own program: it is neither gone nor ended, and no SIGKILL waits for it. */
function canRun(pid: number): boolean {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return false; // gone
  }
  const pending = [...status.matchAll(/^(?:SigPnd|ShdPnd):\t([0-9a-f]+)$/gm)].map(([, mask]) => BigInt(`0x${mask}`));
  return !/^State:\t[ZX]/m.test(status) && !pending.some((mask) => (mask & SIGKILL_PENDING) !== 0n);
}
