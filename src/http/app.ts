import type { Server } from "node:http";
import { Router } from "@koa/router";
import Koa from "koa";
import type { Figures } from "../core/figures.ts";

export type HttpPorts = {
  /** Whether the process's loops tick; a reason if not. */
  readonly health: () => { readonly ok: boolean; readonly reason: string };
  readonly ready: () => { readonly ok: boolean; readonly reason: string };
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
  /** The leader's figures and their age; none when nobody told any. */
  readonly figures: () => { readonly figures: Figures; readonly ageMs: number } | undefined;
  readonly segmentsEndpoint: boolean;
  /** Figures older than this are not told any more, in ms. Source: design.md section 6, three check intervals. */
  readonly maxFiguresAgeMs: number;
};

/** What the process tells over HTTP. Reading only; the API behind the token is not here yet. */
export function createApp(ports: HttpPorts): Koa {
  const router = new Router();
  router.get("/healthz", (ctx) => answer(ctx, ports.health()));
  router.get("/readyz", (ctx) => answer(ctx, ports.ready()));
  router.get("/metrics", async (ctx) => {
    const { contentType, body } = await ports.metrics();
    ctx.set("Content-Type", contentType);
    ctx.body = body;
  });
  router.get("/metrics/segments", (ctx) => {
    if (!ports.segmentsEndpoint) return refuse(ctx, 404, "switched off: set ENABLE_METRICS_ENDPOINT=true");
    const latest = ports.figures();
    if (latest === undefined) return refuse(ctx, 503, "no leader has observed the fleet yet");
    if (latest.ageMs > ports.maxFiguresAgeMs) return refuse(ctx, 503, `the last figures are ${Math.round(latest.ageMs / 1_000)} s old`);
    ctx.body = latest.figures;
  });
  const app = new Koa();
  app.silent = true; // faults are answered with 500; what failed is logged where it failed
  app.use(router.routes()).use(router.allowedMethods());
  return app;
}

function answer(ctx: Koa.Context, { ok, reason }: { ok: boolean; reason: string }): void {
  ctx.status = ok ? 200 : 503;
  ctx.body = ok ? "ok\n" : `${reason}\n`;
}

function refuse(ctx: Koa.Context, status: number, reason: string): void {
  ctx.status = status;
  ctx.body = { reason };
}

export type Listening = { readonly port: number; close(): Promise<void> };

/** Listens on all addresses, IPv6 and IPv4 alike. @throws what the system says, such as a port in use. */
export function listen(app: Koa, port: number): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const server: Server = app.listen({ port, host: "::" });
    server.requestTimeout = 10_000;
    server.once("error", reject);
    server.once("listening", () => {
      const address = server.address();
      resolve({
        port: typeof address === "object" && address !== null ? address.port : port,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}
