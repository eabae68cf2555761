import type { Clock, MonoMs } from "../core/clock.ts";
import { type CountOwner, decideCountOwner } from "../core/count-owner.ts";
import type { ScalingSettings } from "../core/scaling-settings.ts";
import type { Cluster } from "./cluster.ts";
import type { LeaderStore } from "./ports.ts";

export type SecondWriterOptions = { readonly cluster: Cluster; readonly store: Pick<LeaderStore, "fleetView">; readonly clock: Clock };

/** Watches, during one leadership, who writes the number of replicas beside the native scaler. */
export class SecondWriter {
  readonly #options: SecondWriterOptions;
  #known: CountOwner | undefined;
  /** Since when the native scaler follows another one, as this leader has seen it; `other`: that one has the count. */
  #switched: MonoMs | "other" | undefined;

  constructor(options: SecondWriterOptions) {
    this.#options = options;
  }

  /** For the next leader. */
  get known(): CountOwner | undefined {
    return this.#known;
  }

  /** Who that is, if anybody. `owner`: who owns the count by what Kubernetes says. @throws {StoreUnreachableError} */
  async find(mode: ScalingSettings["mode"], owner: string | undefined): Promise<string | undefined> {
    const { cluster, store, clock } = this.#options;
    if (mode !== "native") {
      this.#switched = "other";
      return undefined;
    }
    const version = cluster.scalingVersion();
    if (version === undefined) return owner; // no word of the operator's
    if (this.#switched === "other") this.#switched = clock.mono();
    const past = this.#known ?? (await store.fleetView())?.countOwner;
    const { state, foreign } = decideCountOwner(past, { version, owner, switchedAt: this.#switched }, clock.mono());
    this.#known = state;
    return foreign;
  }
}
