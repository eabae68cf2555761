import { expect } from "chai";

import { openCache } from "../../scripts/lib/cache.ts";
import { run } from "../../scripts/lib/command.ts";
import { type ImageBuilder, openImageBuilder } from "../../scripts/lib/image-builder.ts";
import { openRun, type Run } from "../../scripts/lib/run-dir.ts";

const say = (line: string) => console.log(`      ${line}`);
const root = new URL("../..", import.meta.url).pathname;

describe("the image", function () {
  // npm ci twice, apt and the bundle in one build.
  this.timeout(300_000);
  let place: Run;
  let builder: ImageBuilder;
  const docker = (...args: string[]) => run("docker", args, { cwd: root, env: { ...process.env, DOCKER_HOST: builder.dockerHost } });
  const inImage = (program: string, ...args: string[]) =>
    docker("run", "--rm", "--network", "none", "--read-only", "--entrypoint", program, "runtime:latest", ...args);

  before(async function () {
    if (!process.env["DOCKER_HOST"]) this.skip();
    place = await openRun();
    builder = await openImageBuilder({ runDir: place.dir, cacheDir: await openCache(process.env), say }, process.env);
    await docker("build", "--network", "host", "-t", "runtime:latest", ".");
  });
  after(async () => {
    await builder?.stop();
    await place?.remove();
  });

  it("ends with 78 where the configuration is missing", async () => {
    const end = await docker("run", "--rm", "--network", "none", "runtime:latest", "config").then(
      (text) => text,
      (error: Error) => error.message,
    );
    expect(end).to.match(/\(78\)/);
    expect(end).to.contain("MONGO_URI");
  });
  it("runs as somebody who is not root", async () => {
    expect((await inImage("id", "-u")).trim()).to.equal("10001");
  });
  it("has curl and the init", async () => {
    expect(await inImage("curl", "--version")).to.match(/^curl \d/);
    expect(await inImage("tini", "--version")).to.match(/tini version/);
  });
  const node = "cd /app && node --max-semi-space-size=8 --heap-growing-percent=50";
  for (const { command, file } of [
    { command: "runtime --version", file: "/app/dist/main.js" },
    { command: `${node} dist/main.js --version`, file: "/app/dist/main.js" },
    // Ends with a fault, for it is no thread here: it has been loaded by then.
    { command: `${node} dist/serve/heartbeat-thread.js || true`, file: "/app/dist/serve/heartbeat-thread.js" },
  ])
    it(`loads one file, from what V8 has compiled before: ${command}`, async () => {
      const found = await inImage("sh", "-c", `export NODE_DEBUG_NATIVE=COMPILE_CACHE; (${command}) 2>&1`);
      const uses = found.split("\n").filter((line) => line.startsWith("[compile cache] V8 code cache for "));
      expect(uses.join("\n")).to.equal(`[compile cache] V8 code cache for CommonJS ${file} was accepted, keeping the in-memory entry`);
    });
  it("has no development packages", async () => {
    const packages = await inImage("ls", "/app/node_modules");
    expect(packages.split("\n")).to.include("mongodb").and.not.include("mocha");
  });
});
