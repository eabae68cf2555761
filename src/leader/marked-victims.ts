import type { Observed } from "../core/assignment.ts";
import type { MonoMs } from "../core/clock.ts";
import { podOf, type SessionId } from "../core/ids.ts";
import { askToDrain } from "../core/operations.ts";
import { planVictims, surplusOf } from "../core/victims.ts";
import type { AutoscalerOptions } from "./autoscaler.ts";
import { pricePods } from "./price-pods.ts";

/** Between the marks on the victims and the write of the smaller count, in ms: pods and their ReplicaSet are watched by
 *  separate streams. Source: design.md section 5. */
export const MARK_MS = 2_000;
/** A victim that is still there so long after the write was spared by the ReplicaSet; it is replaced, for it takes no more work. */
const SPARED_MS = 30_000;

type Options = Pick<AutoscalerOptions, "cluster" | "store" | "clock">;

/** Who is to go when the count shrinks: drained and priced lowest first, and replaced if it is still there afterwards. */
export class MarkedVictims {
  readonly #options: Options;
  /** Victims by session, and when they were marked. */
  readonly #marked = new Map<SessionId, MonoMs>();

  constructor(options: Options) {
    this.#options = options;
  }

  /** Victims drain and are priced lowest; returns whether the smaller count may be written by now. */
  async mark(observed: Observed, to: number, signal: AbortSignal): Promise<boolean> {
    const { cluster, store, clock } = this.#options;
    const { victims, costs } = planVictims(observed, surplusOf(observed, to));
    await pricePods(cluster, costs);
    const fresh = victims.filter((sid) => !this.#marked.has(sid));
    for (const sid of fresh) {
      await store.apply(askToDrain(sid));
      this.#marked.set(sid, clock.mono());
    }
    if (fresh.length > 0) {
      await clock.sleep(MARK_MS, signal).catch(() => {});
      return false; // what has changed meanwhile is for the next look
    }
    const owners = new Set(observed.segments.map((s) => s.owner));
    return victims.every((sid) => !owners.has(sid));
  }

  /** Who was to go and is still there takes no more work: another pod in its place does. */
  async replaceSpared({ workers }: Observed): Promise<void> {
    const { cluster, clock } = this.#options;
    const states = new Map(workers.map((w) => [w._id, w.state]));
    for (const [sid, at] of this.#marked) {
      const state = states.get(sid);
      if (state === undefined || state === "gone" || state === "dead") this.#marked.delete(sid);
      else if (clock.mono() - at >= SPARED_MS) {
        const pod = cluster.pods().find((p) => p.uid === podOf(sid));
        if (pod !== undefined && !pod.isTerminating) await cluster.deletePod(pod.name, pod.uid);
        this.#marked.delete(sid);
      }
    }
  }
}
