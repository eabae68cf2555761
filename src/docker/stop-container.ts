import type { Clock } from "../core/clock.ts";
import { EngineRefusedError, EngineUnreachableError } from "../core/errors.ts";
import type { ContainerId } from "../core/ids.ts";
import type { DockerClient } from "./client.ts";
import { inspectContainer } from "./inspect-container.ts";

/** What a stop may take beyond its grace before we kill ourselves, in ms. Source: docker.md rule 9. */
const STOP_SPARE_MS = 5_000;
/** How long after a SIGKILL the Engine may say that the container runs, in ms. */
const STUCK_MS = 15_000;
const POLL_MS = 100;
const NEVER = new AbortController().signal;

/** Stops a container and returns only with proof: an inspect that says it runs no more, or that it is gone.
 *  Needs no help from the bot, and none from a daemon that loses track of the stop itself.
 *  @throws {EngineUnreachableError} when it may still run. */
export async function stopContainer(client: DockerClient, clock: Clock, id: ContainerId, graceSeconds: number): Promise<void> {
  const began = clock.mono();
  if (graceSeconds > 0) {
    await stopGently(client, id, graceSeconds);
    // The request may have broken off early; the bot keeps its grace all the same.
    if (await hasEnded(client, clock, id, began + graceSeconds * 1_000)) return;
  }
  await settled(() =>
    client.call({ what: `kill container "${id}"`, method: "POST", path: `/containers/${id}/kill`, query: { signal: "KILL" } }),
  );
  if (await hasEnded(client, clock, id, clock.mono() + STUCK_MS)) return;
  throw new EngineUnreachableError(`Cannot stop container "${id}": it is stuck, running ${STUCK_MS / 1_000} s after SIGKILL`);
}

/** SIGTERM, the grace, SIGKILL: all by the Engine, in one request. How far it came the next inspect tells. */
async function stopGently(client: DockerClient, id: ContainerId, graceSeconds: number): Promise<void> {
  const limitMs = graceSeconds * 1_000 + STOP_SPARE_MS;
  const request = {
    what: `stop container "${id}"`,
    method: "POST",
    path: `/containers/${id}/stop`,
    query: { t: graceSeconds },
    limitMs,
  } as const;
  try {
    await settled(() => client.callLong(request));
  } catch (error) {
    // Late, broken off, or "did not receive an exit event": an Engine that is really away fails the inspect as well.
    if (!(error instanceof EngineRefusedError || error instanceof EngineUnreachableError)) throw error;
  }
}

/** Looks at least once, then until `deadline` on the clock's monotonic time. */
async function hasEnded(client: DockerClient, clock: Clock, id: ContainerId, deadline: number): Promise<boolean> {
  while ((await inspectContainer(client, id))?.State.Running === true) {
    if (clock.mono() >= deadline) return false;
    await clock.sleep(POLL_MS, NEVER);
  }
  return true;
}

/** 304: stopped before. 404: gone. 409: not running, as `kill` words it; the inspect that follows checks it. */
async function settled(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof EngineRefusedError && [304, 404, 409].includes(error.status))) throw error;
  }
}
