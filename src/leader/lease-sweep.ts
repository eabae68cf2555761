import type { Clock } from "../core/clock.ts";
import { type LeaseSights, sightLeases, staleLeases } from "../core/stale-leases.ts";
import { tolerate } from "../process/retry.ts";
import type { Cluster } from "./cluster.ts";
import type { LeaderBus } from "./events.ts";
import type { LeaderStore } from "./ports.ts";

/** Between two looks, in ms: nothing hurries. */
const LOOK_MS = 30_000;

export type LeaseSweepOptions = {
  readonly cluster: Pick<Cluster, "leases" | "deleteLease">;
  readonly store: Pick<LeaderStore, "workers">;
  readonly clock: Clock;
  readonly bus: LeaderBus;
};

/** Removes the Leases of sessions that are over, while this process leads: each pod leaves one. */
export class LeaseSweep {
  readonly #options: LeaseSweepOptions;

  constructor(options: LeaseSweepOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { cluster, store, clock, bus } = this.#options;
    let sights: LeaseSights = new Map();
    while (!signal.aborted) {
      await tolerate(
        async () => {
          // Leases before records: a session that opens in between is in the books already.
          sights = sightLeases(sights, cluster.leases(), clock.mono());
          for (const sid of staleLeases(sights, await store.workers(), clock.mono())) await cluster.deleteLease(sid);
        },
        (error) => bus.emit("round:failed", { loop: "lease sweep", error }),
      );
      await clock.sleep(LOOK_MS, signal).catch(() => {});
    }
  }
}
