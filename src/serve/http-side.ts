import type { Config } from "../config.ts";
import { ConfigurationError } from "../core/errors.ts";
import { createApp, listen, type Listening } from "../http/app.ts";
import { ReadyLatch } from "../process/ready-latch.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { MAX_TICK_AGE_MS, type Worker } from "../worker/worker.ts";
import type { Leadership } from "./leadership.ts";

/** Figures may be as many checks old. */
const MAX_CHECKS = 3;

export type HttpSideOptions = {
  readonly config: Config;
  readonly metrics: Metrics;
  /** What there is of this process so far. */
  readonly parts: () => { readonly worker?: Worker | undefined; readonly leadership?: Leadership | undefined };
  readonly hasFoundEngine: () => boolean;
  readonly isDraining: () => boolean;
};

/** What this process tells of itself over HTTP. It is ready once there was a session, its segments were read and the Engine was
 *  reached; then until it drains. @throws {ConfigurationError} when it cannot listen */
export function listenHttp({ config, metrics, parts, hasFoundEngine, isDraining }: HttpSideOptions): Promise<Listening> {
  const latch = new ReadyLatch(config.coordination === "kubernetes" ? config.stateDir : undefined);
  const app = createApp({
    health: () => {
      const age = parts().worker?.tickAgeMs ?? 0;
      return { ok: age < MAX_TICK_AGE_MS, reason: `the main loop has not come round for ${Math.round(age / 1_000)} s` };
    },
    ready: () => {
      if (isDraining()) return { ok: false, reason: "draining" };
      if (hasFoundEngine() && parts().worker?.isReady === true) latch.set();
      return { ok: latch.isSet, reason: "starting" };
    },
    metrics: async () => ({ contentType: metrics.registry.contentType, body: await metrics.registry.metrics() }),
    figures: () => parts().leadership?.latest(),
    segmentsEndpoint: config.enableMetricsEndpoint,
    maxFiguresAgeMs: MAX_CHECKS * config.scaleCheckIntervalSeconds * 1_000,
  });
  return listen(app, config.httpPort).catch((cause: unknown) => {
    throw new ConfigurationError(
      `HTTP_PORT: cannot listen on ${config.httpPort}: free the port, or set HTTP_PORT to another (0 takes any)`,
      { cause },
    );
  });
}
