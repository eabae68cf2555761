import { until } from "../command.ts";
import { BOT_IMAGE } from "../bot-image.ts";
import type { Get } from "./api.ts";
import { type Pod, type RawPods, readPods } from "./pods.ts";
import type { Release } from "./product.ts";

const NAME = "plain";

/** What people have without us: a pod for each bot, kept by a Deployment in the release's namespace. */
export class PlainPods {
  readonly #release: Release;

  constructor(release: Release) {
    this.#release = release;
  }

  /** Makes so many, or as many as are missing; 0 takes them all. */
  async scale(replicas: number): Promise<void> {
    const labels = { app: NAME };
    const container = { name: "bot", image: `docker.io/${BOT_IMAGE}`, imagePullPolicy: "IfNotPresent", command: ["sleep", "1000000"] };
    const resources = { requests: { cpu: "1m", memory: "4Mi" } };
    const spec = { terminationGracePeriodSeconds: 0, automountServiceAccountToken: false, containers: [{ ...container, resources }] };
    await this.#release.apply({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: NAME },
      spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    });
  }

  async pods(): Promise<Pod[]> {
    return readPods(JSON.parse(await this.#release.kubectl("get", "pods", "-l", `app=${NAME}`, "-o", "json")) as RawPods);
  }

  /** Waits until exactly so many run on nodes other than this one, whatever is left of others. */
  awaitRunning(count: number, timeoutMs: number, lost?: string): Promise<Pod[]> {
    return until(`${count} plain pods`, timeoutMs, async () => {
      const pods = (await this.pods()).filter(({ node, isReady, isTerminating }) => isReady && !isTerminating && node !== lost);
      return pods.length === count ? pods : undefined;
    });
  }

  /** Waits until the Deployment says that so many are ready, with looks that cost what is measured next to nothing. */
  async awaitReady(get: Get, count: number, timeoutMs: number, everyMs: number): Promise<void> {
    const path = `/apis/apps/v1/namespaces/${this.#release.options.namespace}/deployments/${NAME}`;
    const look = async () => {
      const { body } = await get(path);
      return (body as RawDeployment).status?.readyReplicas === count || undefined;
    };
    await until(`${count} ready plain pods`, timeoutMs, look, everyMs);
  }

  async awaitNone(timeoutMs: number): Promise<void> {
    await until("the end of the plain pods", timeoutMs, async () => (await this.pods()).length === 0 || undefined);
  }
}

type RawDeployment = { readonly status?: { readonly readyReplicas?: number } };
