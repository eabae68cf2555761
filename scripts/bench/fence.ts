// K of ownership.md: how long the fence takes from the deadline until nothing is left, with a machine that has its hands full.
import { existsSync } from "node:fs";
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
    // What the fence says when all is over carries the time of its own clock.
    const isOver = async (): Promise<number | undefined> => {
      const tick = fenced.file.readTick();
      return tick?.state === "down" && tick.now >= deadline ? tick.now : undefined;
    };
    const over = await eventually("nothing is left", isOver, OVER_LIMIT_MS);
    took.push(over - deadline);
    console.log(`bench:fence: round ${round} of ${ROUNDS}: ${Math.round(over - deadline)} ms`);
  }
} finally {
  await rm(dir, { recursive: true, force: true });
}
const worst = Math.max(...took);
const { killMs } = KUBERNETES_TIMINGS;
console.log(
  `bench:fence: ${cpus().length} x ${cpus()[0]?.model ?? "?"}, load ${loadavg()[0]?.toFixed(1)}: from the deadline until nothing is left of ` +
    `${BOTS} spinning bots and a disk writer ${summary(took, "ms", 0)}, median ${Math.round(median(took))} ms; ` +
    `K is ${killMs} ms, ${(killMs / worst).toFixed(1)} times the worst (at least ${MARGIN})`,
);
if (killMs < MARGIN * worst) process.exitCode = 1;
