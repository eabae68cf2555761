import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";

import { readGuideCommands } from "../support/guide-commands.ts";

/** A stream has to show what it shall within so long, in ms. */
const SHOWS_MS = 30_000;

/** The rows of docs/guide-commands.md that can be run here, one test each, on a healthy fleet. `env`: with KUBECONFIG and a PATH
 *  to kubectl. */
export function guideCommands(env: () => NodeJS.ProcessEnv): void {
  for (const { guide, command, tested, shows } of readGuideCommands()) {
    if (shows === undefined) continue;
    it(`keeps the guide's word: ${guide}`, async () => {
      // As on a terminal: into a pipe grep would say nothing before it has a whole buffer.
      const child = spawn("stdbuf", ["-oL", "sh", "-c", command], { env: env(), detached: true, stdio: ["ignore", "pipe", "pipe"] });
      const said = collect(child);
      const ended = once(child, "close");
      if (tested === "stream") {
        for (const end = Date.now() + SHOWS_MS; !shows.test(said()) && Date.now() < end;) await sleep(100);
        expect(child.exitCode).to.equal(null);
        if (command.includes("port-forward")) expect(await figures()).to.match(/^\{"total_segments":\d+/);
        process.kill(-(child.pid ?? 0), "SIGTERM");
      }
      await ended;
      expect(said()).to.match(shows);
    });
  }
}

/** What both streams have said so far; without kubectl's word on which pod it has chosen. */
function collect(child: ChildProcess): () => string {
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return () => said.replace(/^Found \d+ pods, using .*\n/m, "").trimEnd();
}

const figures = async (): Promise<string> => (await fetch("http://localhost:8080/metrics/segments")).text();
