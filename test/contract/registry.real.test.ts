import { EventEmitter } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import Docker from "dockerode";
import { IMAGE_GRACE_MS } from "../../src/core/garbage.ts";
import type { ImageUnavailableError } from "../../src/core/errors.ts";
import { createEngine } from "../../src/docker/engine.ts";
import type { EngineEvents } from "../../src/docker/engine-events.ts";
import { bot } from "../support/builders.ts";
import { MovableClock } from "../support/movable-clock.ts";
import { startRegistry, type TestRegistry } from "../../scripts/lib/test-registry.ts";
import { tinyImage } from "../../scripts/lib/registry-server.ts";
import { order, ours } from "./engine.suite.ts";

const dockerHost = process.env["DOCKER_HOST"];
const isPrivate = dockerHost !== undefined && process.env["DOCKER_IS_PRIVATE"] === "true";

(isPrivate ? describe : describe.skip)("Images: a real Docker Engine and a registry with faults", function () {
  this.timeout(60_000);
  const bare = new Docker();
  const { signal } = new AbortController();
  let registry: TestRegistry;
  let stateDir: string;
  let clock: MovableClock;
  let engine: ReturnType<typeof createEngine>;
  let told: string[];
  let made = 0;

  before(async () => {
    registry = await startRegistry(dockerHost ?? "");
  });
  beforeEach(async () => {
    stateDir = await mkdtemp(join(tmpdir(), "registry-"));
    clock = new MovableClock();
    told = [];
    await registry.obey({ mode: "serve", generation: 1 });
    engine = open();
  });
  afterEach(async () => {
    engine.close();
    const mine = await bare.listContainers({ all: true, filters: { label: ["botrunner.managed=1"] } });
    for (const { Id, Image } of mine) if (isOurs(Image)) await bare.getContainer(Id).remove({ force: true });
    for (const { Id, RepoTags, RepoDigests } of await bare.listImages())
      if ([...(RepoTags ?? []), ...(RepoDigests ?? [])].some(isOurs)) await bare.getImage(Id).remove({ force: true });
    await rm(stateDir, { recursive: true, force: true });
  });
  after(() => registry[Symbol.asyncDispose]());

  const isOurs = (name: string): boolean => name.startsWith(registry.host);
  const fresh = (): string => `${registry.host}/team/bot-${++made}:1`;
  function open(registryAuthFile?: string) {
    const bus = new EventEmitter<EngineEvents>();
    for (const name of ["image:pulled", "image:stale", "image:removed"] as const) bus.on(name, () => told.push(name));
    return createEngine({ dockerHost, stateDir, clock, random: () => 0, bus, registryAuthFile });
  }
  const fault = (image: string, policy: "always" | "if-not-present" = "if-not-present") =>
    engine.ensureImage(image, policy, signal).then(
      () => undefined,
      (error: unknown) => error as ImageUnavailableError,
    );

  for (const { why, given, permanent, says, retryMs } of [
    {
      why: "401",
      given: { mode: "serve", basic: "ann:pw" },
      permanent: true,
      says: /no basic auth credentials|unauthorized.*REGISTRY_AUTH_FILE/,
    },
    { why: "404", given: { mode: "unknown" }, permanent: true, says: /manifest unknown.*correct the image/ },
    { why: "429 with its wait", given: { mode: "limited" }, permanent: false, says: /toomanyrequests/, retryMs: 30_000 },
    { why: "503", given: { mode: "trouble" }, permanent: false, says: /503/, retryMs: 5_000 },
    { why: "a stall", given: { mode: "stall" }, permanent: false, says: /no progress for 120 s/, retryMs: 5_000 },
    {
      why: "a blob that is another",
      given: { mode: "broken-blob" },
      permanent: false,
      says: /verification failed|invalid|unexpected/,
      retryMs: 5_000,
    },
  ] as const) {
    it(`${permanent ? "stays" : "passes"}: ${why}`, async () => {
      await registry.obey({ generation: 1, ...given });
      const image = fresh();
      const error = await fault(image);
      expect(error?.name, error?.message).to.equal("ImageUnavailableError");
      expect(error?.message).to.match(says);
      expect(error?.permanent).to.equal(permanent);
      if (retryMs !== undefined) expect(error?.retryMs).to.be.within(retryMs - 1_000, retryMs);
      await registry.obey({ mode: "serve", generation: 1 });
      clock.push(retryMs ?? 0);
      expect(await fault(image)).to.equal(undefined);
    });
  }

  it("asks a paused registry nothing", async () => {
    await registry.obey({ mode: "limited", generation: 1 });
    await fault(fresh());
    await registry.obey({ mode: "limited", generation: 1 });
    await Promise.all(Array.from({ length: 10 }, () => fault(fresh())));
    expect(await registry.asked()).to.deep.equal([]);
  });

  it("shows its credentials, by password", async () => {
    await registry.obey({ mode: "serve", generation: 1, basic: "ann:s3cret" });
    const authFile = join(stateDir, "auth.json");
    const auth = (password: string) => writeFile(authFile, JSON.stringify({ auths: { [registry.host]: { username: "ann", password } } }));
    await auth("old");
    engine.close();
    engine = open(authFile);
    const image = fresh();
    expect((await fault(image))?.message)
      .to.match(/REGISTRY_AUTH_FILE/)
      .and.not.contain("old");
    await auth("s3cret");
    expect(await fault(image)).to.equal(undefined);
  });

  it("pulls once for all callers", async () => {
    await registry.obey({ mode: "serve", generation: 3 });
    const image = fresh();
    await Promise.all([fault(image), fault(image), fault(image, "always")]);
    expect(told).to.deep.equal(["image:pulled"]);
    const blobs = (await registry.asked()).filter((request) => request.startsWith("GET") && request.includes("/blobs/"));
    expect(blobs).to.have.lengthOf(2, (await registry.asked()).join());
  });

  it("pulls what is pinned by its digest, and knows it in the container", async () => {
    const { manifest, config } = tinyImage(1);
    const image = `${fresh().replace(/:1$/, "")}@${manifest}`;
    expect(await fault(image, "always")).to.equal(undefined);
    await engine.create(order("pinned", "true", { image }));
    expect(ours(await engine.inspect(bot("pinned"))).imageId).to.equal(config);
    await registry.obey({ mode: "serve", generation: 1 });
    expect(await fault(image, "always")).to.equal(undefined);
    expect(await registry.asked()).to.deep.equal([]);
  });

  it("follows a name that means another image, keeps the old one while it is used, then removes it", async () => {
    const image = fresh();
    await fault(image);
    await engine.create(order("old", "true", { image }));
    await registry.obey({ mode: "serve", generation: 2 });
    expect(await fault(image)).to.equal(undefined); // if-not-present asks nobody
    expect((await bare.getImage(image).inspect()).Id).to.equal(tinyImage(1).config);
    await fault(image, "always");
    expect((await bare.getImage(image).inspect()).Id).to.equal(tinyImage(2).config);
    const collect = async () => {
      await engine.collectImages(new Set([image]));
      clock.push(IMAGE_GRACE_MS);
      await engine.collectImages(new Set([image]));
    };
    const isHere = (id: string) =>
      bare
        .getImage(id)
        .inspect()
        .then(
          () => true,
          () => false,
        );
    await collect();
    expect(await isHere(tinyImage(1).config)).to.equal(true);
    await engine.remove(ours(await engine.inspect(bot("old"))));
    await collect();
    expect([await isHere(tinyImage(1).config), await isHere(tinyImage(2).config)]).to.deep.equal([false, true]);
    await engine.collectImages(new Set());
    clock.push(IMAGE_GRACE_MS);
    await engine.collectImages(new Set());
    expect(await isHere(tinyImage(2).config)).to.equal(false);
    expect(told).to.deep.equal(["image:pulled", "image:pulled", "image:removed", "image:removed"]);
  });

  it("starts from what is here when the registry is away", async () => {
    const image = fresh();
    await fault(image);
    await registry.obey({ mode: "trouble", generation: 2 });
    expect(await fault(image, "always")).to.equal(undefined);
    expect(told).to.deep.equal(["image:pulled", "image:stale"]);
  });
});
