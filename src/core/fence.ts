import type { MonoMs } from "./clock.ts";

/** What the worker leaves for its fence after each renewal. Both read the machine's clock since boot. */
export type FenceFile = {
  /** Bots may run until then, in ms since boot. */
  readonly deadline: MonoMs;
  /** The worker's own clock when it wrote, in ms since boot. */
  readonly reading: MonoMs;
  readonly bootId: string;
};

/** How often the fence looks, in ms. Source: ownership.md "The fence". */
export const FENCE_POLL_MS = 200;

/** What the fence knows by itself. `lastNow`: its clock at the poll before. */
export type FenceView = { readonly now: MonoMs; readonly lastNow: MonoMs; readonly bootId: string };

/** Decides whether bots may run now. Anything that does not add up counts as lapsed: no file, another boot, a clock
 *  that was set back (lxcfs can reset a container's uptime), a reading from the future. */
export function isLapsed(file: FenceFile | undefined, { now, lastNow, bootId }: FenceView): boolean {
  return file === undefined || file.bootId !== bootId || now < lastNow || file.reading > now || file.deadline <= now;
}
