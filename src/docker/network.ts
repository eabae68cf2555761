import { EngineRefusedError } from "../core/errors.ts";
import type { DockerClient } from "./client.ts";
import { isManaged, MANAGED_LABELS } from "./labels.ts";

/** Our own bridge: bots reach the outside, not each other, and nothing reaches them. */
export class BotNetwork {
  readonly name: string;
  readonly #client: DockerClient;
  #made: Promise<void> | undefined;

  constructor(client: DockerClient, name: string) {
    this.#client = client;
    this.name = name;
  }

  /** Runs `act`, which needs the network, and once more if somebody has removed the network meanwhile. */
  async use<T>(act: () => Promise<T>): Promise<T> {
    await this.#ensure();
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof EngineRefusedError && error.status === 404 && /network .*not found/i.test(error.message))) throw error;
      this.#made = undefined;
      await this.#ensure();
      return act();
    }
  }

  /** Looks once, and again only after a failure. */
  async #ensure(): Promise<void> {
    this.#made ??= this.#make();
    try {
      await this.#made;
    } catch (error) {
      this.#made = undefined;
      throw error;
    }
  }

  async #make(): Promise<void> {
    if (await this.#exists()) return;
    const body = {
      Name: this.name,
      Driver: "bridge",
      CheckDuplicate: true, // Engines before 25 allow two networks of one name without it
      Labels: MANAGED_LABELS,
      Options: { "com.docker.network.bridge.enable_icc": "false" },
    };
    try {
      await this.#client.call({ what: `create the network "${this.name}"`, method: "POST", path: "/networks/create", body });
    } catch (error) {
      // Another process of ours was faster, or the reply of an earlier try was lost.
      if (!(error instanceof EngineRefusedError && error.status === 409)) throw error;
      await this.#exists();
    }
  }

  /** @throws {EngineRefusedError} 403 when somebody else's network has the name: it may let bots reach each other. */
  async #exists(): Promise<boolean> {
    const what = `look at the network "${this.name}"`;
    try {
      const found = await this.#client.call<{ Labels: Record<string, string> | null }>({ what, method: "GET", path: `/networks/${encodeURIComponent(this.name)}` });
      if (isManaged(found.Labels)) return true;
    } catch (error) {
      if (error instanceof EngineRefusedError && error.status === 404) return false;
      throw error;
    }
    throw new EngineRefusedError(`Cannot use the network "${this.name}": it is not one that this runtime made; remove or rename it`, 403);
  }
}
