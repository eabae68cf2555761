import type { ApiClient } from "./client.ts";
import { type OwnerReference, pathOf } from "./objects.ts";

export type EventTeller = {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly deployment: OwnerReference;
  /** The reporting pod. */
  readonly pod: string;
  readonly wall: () => Date;
  readonly callMs: number;
};

type Told = { readonly name: string; readonly count: number };

/** Events whose repetition is counted on the one that is there. */
const REMEMBERED = 32;
/** Longest note that the API server takes, in characters. */
const MAX_NOTE = 1_024;

/** Events on the Deployment. What is told again raises a count, as `kubectl describe` shows it. */
export class DeploymentEvents {
  readonly #options: EventTeller;
  readonly #told = new Map<string, Told>();
  #turn = 0;

  constructor(options: EventTeller) {
    this.#options = options;
  }

  /** @throws {ClusterUnreachableError} {ClusterRefusedError} */
  async tell(type: "Normal" | "Warning", reason: string, note: string): Promise<void> {
    const { client, namespace, callMs } = this.#options;
    const message = note.slice(0, MAX_NOTE);
    const key = JSON.stringify([type, reason, message]);
    const now = `${this.#options.wall().toISOString().slice(0, 19)}Z`;
    const before = this.#told.get(key);
    if (before !== undefined) {
      const count = before.count + 1;
      const path = pathOf("v1", namespace, "events", before.name);
      const body = { count, lastTimestamp: now };
      const { status } = await client.call({ verb: "patch", what: "events", path, body, limitMs: callMs, expect: [404] });
      if (status < 400) return this.#remember(key, { name: before.name, count });
    }
    const body = this.#body(type, reason, message, now);
    await client.call({ verb: "create", what: "events", path: pathOf("v1", namespace, "events"), body, limitMs: callMs });
    this.#remember(key, { name: body.metadata.name, count: 1 });
  }

  #remember(key: string, told: Told): void {
    this.#told.delete(key);
    this.#told.set(key, told);
    const [oldest] = this.#told.keys();
    if (this.#told.size > REMEMBERED && oldest !== undefined) this.#told.delete(oldest);
  }

  #body(type: string, reason: string, message: string, now: string) {
    const { namespace, deployment, pod, wall } = this.#options;
    // As client-go names them: the object, then a time that no other Event of it has.
    const name = `${deployment.name}.${wall().getTime().toString(16)}.${(this.#turn++).toString(16)}.${pod.slice(-5).replaceAll(/[^a-z0-9]/g, "")}0`;
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name, namespace },
      involvedObject: { ...deployment, namespace },
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component: "bot-runner" },
      reportingComponent: "bot-runner",
      reportingInstance: pod,
    };
  }
}
