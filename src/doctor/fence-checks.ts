import type { Clock, MonoMs } from "../core/clock.ts";
import { FENCE_POLL_MS } from "../core/fence.ts";
import { type Check, fail, ok, type Said, warn } from "./finding.ts";
import type { FenceProbe, Tick } from "./ports.ts";

/** Between two looks at the tick, in ms: some polls, so that a fence that lives has moved it. */
const LOOK_MS = 5 * FENCE_POLL_MS;
/** Farther apart a worker starts nothing, in ms. Source: ownership.md "The fence". */
const MAX_APART_MS = 1_000;

/** Two looks at the tick, and our own clock at each. */
export type FenceLook = {
  readonly dir: string;
  readonly bootId: string;
  readonly before: Tick | undefined;
  readonly after: Tick | undefined;
  readonly now: MonoMs;
  readonly isMemory: boolean;
};

export function fenceChecks(fence: FenceProbe, clock: Clock): Check[] {
  return [
    {
      name: "fence",
      mend: "FENCE_DIR must be the directory that the fence writes to, readable here",
      look: async (signal) => {
        const { dir, bootId } = fence;
        const before = fence.tick();
        await clock.sleep(LOOK_MS, signal);
        const after = fence.tick();
        return judgeFence({ dir, bootId, before, after, now: clock.mono(), isMemory: await fence.isMemory() });
      },
    },
  ];
}

export function judgeFence({ dir, bootId, before, after: tick, now, isMemory }: FenceLook): Said {
  if (tick === undefined)
    return fail(
      `there is no tick of a fence in "${dir}"`,
      "start the Engine's container with the fence as its first process, and the same directory as FENCE_DIR",
    );
  if (tick.bootId !== bootId)
    return fail(
      "the fence's tick is of another boot of the machine, or of another machine",
      "worker and fence must share the directory on one machine",
    );
  const apart = now - tick.now;
  if (before?.now === tick.now)
    return fail(`the fence has not polled for ${seconds(apart)} s: it hangs or is gone`, "look at the Engine's container: is it up?");
  if (Math.abs(apart) > MAX_APART_MS)
    return fail(
      `the fence's clock is ${seconds(Math.abs(apart))} s ${apart > 0 ? "behind" : "ahead of"} ours, so no bot is started`,
      "both must see the same /proc/uptime: does lxcfs, or a time namespace, give one of them another?",
    );
  const struck = tick.trips === 0 ? "" : `; it has struck ${tick.trips} time${tick.trips === 1 ? "" : "s"}`;
  if (tick.state !== "up")
    return warn(
      `it ticks, and ${tick.state === "down" ? "holds the Engine down" : "is killing what ran"}, for no lease lies ahead${struck}`,
      "start this worker's runtime: bots run only while it renews",
    );
  if (!isMemory)
    return warn(`it ticks, but "${dir}" is not in memory: a busy disk makes it late`, "mount a tmpfs there (emptyDir, medium: Memory)");
  return ok(`it ticks on our clock, ${seconds(Math.max(0, apart))} s ago${struck}`);
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
