import { expect } from "chai";

import { openCache } from "../../scripts/lib/cache.ts";
import { run } from "../../scripts/lib/command.ts";
import { type ImageBuilder, openImageBuilder } from "../../scripts/lib/image-builder.ts";
import { openRun, type Run } from "../../scripts/lib/run-dir.ts";

const say = (line: string) => console.log(`      ${line}`);
const root = new URL("../..", import.meta.url).pathname;

describe("the image", function () {
  // npm ci twice, apt and tsc in one build.
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
  for (const command of ["exec runtime", "cd /app && exec node --max-semi-space-size=8 --heap-growing-percent=50 dist/main.js"])
    it(`starts from what V8 has compiled before: ${command}`, async () => {
      const found = await inImage("sh", "-c", `NODE_DEBUG_NATIVE=COMPILE_CACHE; export NODE_DEBUG_NATIVE; ${command} --version 2>&1`);
      const uses = found.split("\n").filter((line) => line.startsWith("[compile cache] V8 code cache for "));
      const compiled = uses.filter((line) => !line.includes(" was accepted"));
      expect(uses).to.have.length.above(500);
      expect(compiled).to.deep.equal([]);
    });
  it("has no development packages", async () => {
    const packages = await inImage("ls", "/app/node_modules");
    expect(packages.split("\n")).to.include("mongodb").and.not.include("mocha");
  });
});
