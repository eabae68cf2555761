import { EngineRefusedError } from "../core/errors.ts";
import type { DockerClient } from "./client.ts";
import { isManaged, MANAGED_LABELS } from "./labels.ts";

type Network = { readonly Id: string; readonly Name: string; readonly Created: string; readonly Labels: Record<string, string> | null };

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
      const astray =
        error instanceof EngineRefusedError &&
        (error.status === 404 || error.status === 400) &&
        /network .*(not found|ambiguous)/i.test(error.message);
      if (!astray) throw error;
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

  /** Engines before 25 may make two networks of one name when asked at the same time, whatever CheckDuplicate says, and
   *  then refuse both as ambiguous: so everybody looks again and leaves only the oldest. */
  async #make(): Promise<void> {
    if ((await this.#find()).length === 0) await this.#create();
    const [, ...spare] = await this.#find();
    for (const { Id } of spare) await this.#drop(Id);
  }

  async #create(): Promise<void> {
    const body = {
      Name: this.name,
      Driver: "bridge",
      CheckDuplicate: true,
      Labels: MANAGED_LABELS,
      Options: { "com.docker.network.bridge.enable_icc": "false" },
    };
    try {
      await this.#client.call({ what: `create the network "${this.name}"`, method: "POST", path: "/networks/create", body });
    } catch (error) {
      // Somebody was faster, or the reply of an earlier try was lost.
      if (!(error instanceof EngineRefusedError && error.status === 409)) throw error;
    }
  }

  /** All networks of our name, oldest first. @throws {EngineRefusedError} 403 when one is somebody else's: it may let
   *  bots reach each other. */
  async #find(): Promise<Network[]> {
    const query = { filters: { name: [this.name] } };
    const similar = await this.#client.call<Network[]>({ what: "list networks", method: "GET", path: "/networks", query });
    const found = similar.filter(({ Name }) => Name === this.name); // the filter matches parts of names
    if (!found.every(({ Labels }) => isManaged(Labels)))
      throw new EngineRefusedError(`Cannot use the network "${this.name}": it is not one that this runtime made; remove it`, 403);
    return found.sort((a, b) => Date.parse(a.Created) - Date.parse(b.Created) || (a.Id < b.Id ? -1 : 1));
  }

  async #drop(id: string): Promise<void> {
    try {
      await this.#client.call({ what: `remove the second network "${this.name}"`, method: "DELETE", path: `/networks/${id}` });
    } catch (error) {
      // 404: somebody else has dropped it. 403: a container runs in it; the next look tries again.
      if (!(error instanceof EngineRefusedError && (error.status === 404 || error.status === 403))) throw error;
    }
  }
}
