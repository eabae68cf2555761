import { readScalingSettings, type ScalingSettings } from "../core/scaling-settings.ts";
import type { AutoscalerOptions } from "./autoscaler.ts";

type Options = Pick<AutoscalerOptions, "cluster" | "base" | "bus">;

/** Bounds and scaler as the cluster says, over what the environment says. What cannot be read leaves those from before in force. */
export class WatchedSettings {
  readonly #options: Options;
  #now: ScalingSettings;
  #refused = "";
  #hasRead = false;

  constructor(options: Options) {
    this.#options = options;
    this.#now = options.base;
  }

  get now(): ScalingSettings {
    return this.#now;
  }

  /** Why the last ones were refused; empty when they were not. */
  get refused(): string {
    return this.#refused;
  }

  /** Reads them anew. Returns whether it is known by what to scale. */
  read(): boolean {
    const { cluster, base, bus } = this.#options;
    const data = cluster.scaling() ?? {};
    if (data === "unread") return false;
    const read = readScalingSettings(data, base);
    const refused = read.faults.join("; ");
    if (refused !== this.#refused && refused !== "") bus.emit("scaling:refused", { reason: refused });
    this.#refused = refused;
    if (!("settings" in read)) return true;
    const isNews = !this.#hasRead || JSON.stringify(read.settings) !== JSON.stringify(this.#now);
    this.#now = read.settings;
    this.#hasRead = true;
    if (isNews) bus.emit("scaling:settings", read.settings);
    return true;
  }
}
