import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../src/core/clock.ts";
import { systemClock } from "../../src/process/clock.ts";

export type Script = (request: IncomingMessage, response: ServerResponse) => void;

/** The Engine's HTTP surface on a unix socket, with a reply per path; the version is taken off the path. Without a
 *  reply the daemon hangs. */
export async function scriptedDaemon(replies: Readonly<Record<string, Script>>) {
  const directory = await mkdtemp(join(tmpdir(), "scripted-daemon-"));
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = (request.url ?? "").replace(/\?.*$/, "");
    asked.push(`${request.method} ${path}`);
    const reply = replies[path.replace(/^\/v[\d.]+/, "")];
    if (reply) reply(request, response);
    else if (path === "/version") json({ Version: "27.0.0", ApiVersion: "1.46", MinAPIVersion: "1.24" })(request, response);
  });
  const path = join(directory, "s.sock");
  server.listen(path);
  await once(server, "listening");
  return {
    host: `unix://${path}`,
    stateDir: directory,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export const json =
  (value: unknown, status = 200): Script =>
  (_request, response) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
  };

/** A clock that waits 250 ms for a time limit and 1 ms for a pause, while its own time runs as if all was waited out. */
export function hastyClock(): Clock {
  let skippedMs = 0;
  return {
    mono: () => (systemClock.mono() + skippedMs) as ReturnType<Clock["mono"]>,
    wall: () => systemClock.wall(),
    async sleep(ms, signal) {
      const realMs = ms >= 1_000 ? 250 : 1;
      await systemClock.sleep(Math.min(ms, realMs), signal);
      skippedMs += Math.max(0, ms - realMs);
    },
  };
}
