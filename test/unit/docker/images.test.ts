import { EventEmitter } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { IMAGE_GRACE_MS } from "../../../src/core/garbage.ts";
import type { ImageUnavailableError } from "../../../src/core/errors.ts";
import { createEngine } from "../../../src/docker/engine.ts";
import type { EngineEvents } from "../../../src/docker/engine-events.ts";
import { MovableClock } from "../../support/movable-clock.ts";
import { json, type Script, scriptedDaemon } from "../../support/scripted-daemon.ts";

const never = new AbortController().signal;
const R = "r.example:5000";
const lines =
  (...values: object[]): Script =>
  (_, response) =>
    void response.end(values.map((value) => `${JSON.stringify(value)}\r\n`).join(""));
const limited = lines({ error: "toomanyrequests: retry-after: 30s, allowed: 10/minute" });
const down = json({ message: 'Get "http://r.example:5000/v2/": dial tcp: connect: connection refused' }, 500);

/** An Engine that has images, pulls them from `registry` and forgets them, behind its HTTP. */
async function imageDaemon(options: { readonly authFile?: string } = {}) {
  /** What names stand for; an id of a container's image cannot be removed. */
  const names = new Map<string, string>();
  const used = new Set<string>();
  const pulls: { readonly image: string; readonly auth: unknown }[] = [];
  const removed: string[] = [];
  /** Gives the id that a pull brings, or the reply to it. */
  const registry = { answer: (image: string): string | Script => `sha256:${image}` };
  const ids = new Set<string>();

  const look = (name: string): Script => {
    const id = names.get(name) ?? (ids.has(name) ? name : undefined);
    if (id === undefined) return json({ message: "No such image" }, 404);
    const mine = [...names].flatMap(([tag, of]) => (of === id ? [tag] : []));
    return json({ Id: id, RepoTags: mine.filter((n) => !n.includes("@")), RepoDigests: mine.filter((n) => n.includes("@")) });
  };
  const pull: Script = (request, response) => {
    const query = new URL(request.url ?? "", "http://x").searchParams;
    const [name = "", tag = ""] = [query.get("fromImage"), query.get("tag")].map(String);
    const image = `${name}${tag.includes(":") ? "@" : ":"}${tag}`;
    const header = request.headers["x-registry-auth"];
    pulls.push({ image, auth: typeof header === "string" ? JSON.parse(Buffer.from(header, "base64url").toString()) : undefined });
    const answer = registry.answer(image);
    if (typeof answer !== "string") return answer(request, response);
    names.set(image, answer);
    ids.add(answer);
    lines({ status: "done" })(request, response);
  };
  const drop =
    (name: string): Script =>
    (request, response) => {
      const id = names.get(name) ?? name;
      if (used.has(id)) return json({ message: "conflict: container is using it" }, 409)(request, response);
      names.delete(name);
      if (![...names.values()].includes(id)) ids.delete(id);
      removed.push(name);
      json([])(request, response);
    };
  const replies = new Proxy<Record<string, Script>>(
    {},
    {
      get: (_, path): Script | undefined => {
        if (path === "/images/create") return pull;
        if (path === "/containers/json") return json([...used].map((ImageID) => ({ ImageID })));
        const [, name, isLook] = /^\/images\/(.+?)(\/json)?$/.exec(String(path)) ?? [];
        if (name === undefined) return undefined;
        return isLook ? look(decodeURIComponent(name)) : drop(decodeURIComponent(name));
      },
    },
  );
  const daemon = await scriptedDaemon(replies);
  const clock = new MovableClock();
  const bus = new EventEmitter<EngineEvents>();
  const told: string[] = [];
  for (const name of ["image:pulled", "image:stale", "image:removed", "image:kept", "image:unrecorded"] as const)
    bus.on(name, ({ image }: { image: string }) => told.push(`${name} ${image}`));
  bus.on("credentials:refused", ({ error }) => told.push((error as Error).message));
  const authFile = join(daemon.stateDir, "auth.json");
  if (options.authFile !== undefined) await writeFile(authFile, options.authFile);
  const open = () =>
    createEngine({
      dockerHost: daemon.host,
      stateDir: daemon.stateDir,
      clock,
      random: () => 0,
      bus,
      ...(options.authFile !== undefined && { registryAuthFile: authFile }),
    });
  let engine: ReturnType<typeof open>;
  try {
    engine = open();
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
  const others: (typeof engine)[] = [];
  return {
    engine,
    again: () => others[others.push(open()) - 1] ?? engine,
    names,
    ids,
    used,
    pulls,
    removed,
    registry,
    clock,
    told,
    authFile,
    stateDir: daemon.stateDir,
    pulled: () => pulls.map(({ image }) => image),
    fault: (image: string, policy: "always" | "if-not-present" | "never" = "if-not-present") =>
      engine.ensureImage(image, policy, never).then(
        () => undefined,
        (error: unknown) => error as ImageUnavailableError,
      ),
    async [Symbol.asyncDispose]() {
      for (const each of [engine, ...others]) each.close();
      await daemon[Symbol.asyncDispose]();
    },
  };
}

describe("ensureImage() and pull policies", () => {
  const DIGEST = `${R}/bot@sha256:${"a".repeat(64)}`;
  for (const { why, policy, here, answers, image = `${R}/bot:1`, gives } of [
    { why: "if-not-present, and it is here", policy: "if-not-present", here: true, answers: true, gives: [0, undefined, []] },
    { why: "if-not-present, and it is not", policy: "if-not-present", here: false, answers: true, gives: [1, undefined, ["image:pulled"]] },
    { why: "always, and it is another by now", policy: "always", here: true, answers: true, gives: [1, undefined, ["image:pulled"]] },
    { why: "always, and the registry is away", policy: "always", here: true, answers: false, gives: [1, undefined, ["image:stale"]] },
    { why: "always, and neither is there", policy: "always", here: false, answers: false, gives: [1, false, []] },
    { why: "always, and it is pinned", policy: "always", here: true, answers: true, image: DIGEST, gives: [0, undefined, []] },
    { why: "never, and it is here", policy: "never", here: true, answers: true, gives: [0, undefined, []] },
    { why: "never, and it is not", policy: "never", here: false, answers: true, gives: [0, true, []] },
  ] as const) {
    it(why, async () => {
      await using daemon = await imageDaemon();
      if (here) daemon.names.set(image, "sha256:old");
      if (!answers) daemon.registry.answer = () => down;
      const fault = await daemon.fault(image, policy);
      expect([daemon.pulls.length, fault?.permanent, daemon.told]).to.deep.equal([
        gives[0],
        gives[1],
        gives[2].map((e) => `${e} ${image}`),
      ]);
    });
  }

  it("pulls what is pinned by its digest and nothing else", async () => {
    await using daemon = await imageDaemon();
    await daemon.fault(DIGEST);
    expect(daemon.pulled()).to.deep.equal([DIGEST]);
  });

  it("shares one pull between bots of different policies", async () => {
    await using daemon = await imageDaemon();
    const image = `${R}/bot:1`;
    await Promise.all([daemon.fault(image, "always"), daemon.fault(image), daemon.fault(image, "always")]);
    expect(daemon.pulled()).to.deep.equal([image]);
  });
});

describe("ensureImage() and a registry that fails", () => {
  for (const { why, answer, says } of [
    {
      why: "401",
      answer: lines({ errorDetail: { code: 401, message: "unauthorized: authentication required" } }),
      says: /REGISTRY_AUTH_FILE/,
    },
    {
      why: "404",
      answer: json({ message: "manifest for r/bot:1 not found: manifest unknown" }, 404),
      says: /: correct the image, then change or restart the bot$/,
    },
  ]) {
    it(`says what to change and pauses nothing: ${why}`, async () => {
      await using daemon = await imageDaemon();
      daemon.registry.answer = () => answer;
      const fault = await daemon.fault(`${R}/bot:1`);
      expect(fault).to.include({ permanent: true, retryMs: undefined });
      expect(fault?.message).to.match(says);
      daemon.registry.answer = () => "sha256:1";
      expect(await daemon.fault(`${R}/bot:1`)).to.equal(undefined);
    });
  }

  it("does not ask again before a registry that counts its callers said, for no image", async () => {
    await using daemon = await imageDaemon();
    daemon.registry.answer = () => limited;
    expect((await daemon.fault(`${R}/a:1`))?.retryMs).to.be.within(29_000, 30_000);
    const other = await daemon.fault(`${R}/b:1`);
    expect(other?.retryMs).to.be.within(29_000, 30_000);
    expect(other?.message).to.match(/Cannot pull "r.example:5000\/b:1": toomanyrequests/);
    daemon.registry.answer = (image) => `sha256:${image}`;
    expect(await daemon.fault("other.example/a:1")).to.equal(undefined);
    daemon.clock.push(30_000);
    expect(await daemon.fault(`${R}/b:1`)).to.equal(undefined);
    expect(daemon.pulled()).to.deep.equal([`${R}/a:1`, "other.example/a:1", `${R}/b:1`]);
  });

  it("costs a registry that is away one question a pause, whatever the number of bots", async () => {
    await using daemon = await imageDaemon();
    daemon.registry.answer = () => down;
    const all = () => Promise.all(Array.from({ length: 40 }, (_, i) => daemon.fault(`${R}/bot-${i}:1`)));
    const first = await all();
    expect(first.every((fault) => fault?.permanent === false && (fault.retryMs ?? 0) > 0)).to.equal(true);
    expect(daemon.pulls.length).to.be.at.most(2); // as many as pull at a time
    daemon.clock.push(5_000);
    daemon.pulls.length = 0;
    const second = await all();
    expect(daemon.pulls.length).to.equal(1);
    expect(Math.min(...second.map((fault) => fault?.retryMs ?? 0))).to.be.within(9_000, 10_000);
    daemon.clock.push(10_000);
    daemon.registry.answer = (image) => `sha256:${image}`;
    expect((await all()).filter((fault) => fault !== undefined)).to.deep.equal([]);
  });

  it("lets other images of a registry be pulled when one is broken", async () => {
    await using daemon = await imageDaemon();
    daemon.registry.answer = (image) => (image.includes("broken") ? lines({ error: "filesystem layer verification failed" }) : "sha256:1");
    expect((await daemon.fault(`${R}/broken:1`))?.retryMs).to.be.within(4_000, 5_000);
    expect(await daemon.fault(`${R}/whole:1`)).to.equal(undefined);
    await daemon.fault(`${R}/broken:1`);
    expect(daemon.pulled()).to.deep.equal([`${R}/broken:1`, `${R}/whole:1`]);
  });

  it("takes a stall for the registry's fault", async () => {
    await using daemon = await imageDaemon();
    daemon.registry.answer = () => (_, response) => void response.write('{"status":"Pulling"}\n');
    expect((await daemon.fault(`${R}/a:1`))?.message).to.match(/no progress for 120 s/);
    expect((await daemon.fault(`${R}/b:1`))?.message).to.match(/no progress for 120 s/);
    expect(daemon.pulls).to.have.lengthOf(1);
  });
});

describe("ensureImage() and credentials", () => {
  const basic = Buffer.from("ann:s3cret:x").toString("base64");
  const authFile = JSON.stringify({
    auths: {
      "https://index.docker.io/v1/": { auth: basic },
      [`http://${R}/v2/`]: { username: "bob", password: "pw" },
      "t.example": { identitytoken: "tok" },
    },
  });
  for (const { image, gives } of [
    { image: "nginx:1", gives: { serveraddress: "https://index.docker.io/v1/", username: "ann", password: "s3cret:x" } },
    { image: "docker.io/team/bot:1", gives: { serveraddress: "https://index.docker.io/v1/", username: "ann", password: "s3cret:x" } },
    { image: `${R}/bot:1`, gives: { serveraddress: R, username: "bob", password: "pw" } },
    { image: "t.example/bot:1", gives: { serveraddress: "t.example", identitytoken: "tok" } },
    { image: "other.example/bot:1", gives: undefined },
  ]) {
    it(`sends ${gives === undefined ? "none" : "its own"} to the registry of ${image}`, async () => {
      await using daemon = await imageDaemon({ authFile });
      await daemon.fault(image);
      expect(daemon.pulls).to.deep.equal([{ image, auth: gives }]);
    });
  }

  it("reads the file again when it changed, and keeps what it knew when that makes no sense", async () => {
    await using daemon = await imageDaemon({ authFile });
    await writeFile(daemon.authFile, '{"auths": {"x": "s3cret');
    await daemon.fault(`${R}/a:1`);
    await daemon.fault(`${R}/b:1`);
    expect(daemon.told.filter((text) => text.startsWith("REGISTRY_AUTH_FILE"))).to.have.lengthOf(1);
    await writeFile(daemon.authFile, JSON.stringify({ auths: { [R]: { username: "eve", password: "new" } } }));
    await daemon.fault(`${R}/c:1`);
    expect(daemon.pulls.map(({ auth }) => (auth as { username: string }).username)).to.deep.equal(["bob", "bob", "eve"]);
    expect(daemon.told.join()).to.not.match(/s3cret|pw|eve/);
  });

  for (const { why, text, says } of [
    { why: "no JSON", text: "s3cret", says: /must hold JSON/ },
    { why: "no auths", text: '{"auths": ["s3cret"]}', says: /must have auths/ },
    { why: "a helper", text: '{"auths": {"r": {}}, "credsStore": "desktop"}', says: /for "r".*credential helper/ },
    { why: "no colon", text: `{"auths": {"r": {"auth": "${Buffer.from("s3cret").toString("base64")}"}}}`, says: /base64 of user:password/ },
    { why: "no password", text: '{"auths": {"r": {"username": "s3cret"}}}', says: /username and password/ },
  ]) {
    it(`refuses to begin with a file that has ${why}, and tells no secret`, async () => {
      const fault = await imageDaemon({ authFile: text }).then(
        () => undefined,
        (error: unknown) => error as Error,
      );
      expect(fault?.name).to.equal("ConfigurationError");
      expect(fault?.message)
        .to.match(/^REGISTRY_AUTH_FILE: /)
        .and.match(says);
      expect(fault?.message).to.not.contain("s3cret");
      expect(fault?.cause).to.equal(undefined);
    });
  }
});

describe("collectImages()", () => {
  const A = `${R}/a:1`;
  const record = (daemon: { stateDir: string }) => readFile(join(daemon.stateDir, "pulled-images"), "utf8");
  const pass = async (daemon: Awaited<ReturnType<typeof imageDaemon>>, wanted: readonly string[] = []) => {
    await daemon.engine.collectImages(new Set(wanted));
    daemon.clock.push(IMAGE_GRACE_MS);
    await daemon.engine.collectImages(new Set(wanted));
  };

  it("removes what we pulled, after the grace, and nothing else", async () => {
    await using daemon = await imageDaemon();
    daemon.names.set("users/own:1", "sha256:own");
    await daemon.fault("users/own:1");
    await daemon.fault(A);
    await daemon.engine.collectImages(new Set());
    expect(await record(daemon)).to.equal(`${A} sha256:${A}\n`);
    expect(daemon.removed).to.deep.equal([]);
    await pass(daemon);
    expect([daemon.removed, await record(daemon)]).to.deep.equal([[A], ""]);
    expect(daemon.told).to.deep.equal([`image:pulled ${A}`, `image:removed ${A}`]);
  });

  it("remembers across a restart", async () => {
    await using daemon = await imageDaemon();
    await daemon.fault(A);
    const next = daemon.again();
    await next.collectImages(new Set());
    daemon.clock.push(IMAGE_GRACE_MS);
    await next.collectImages(new Set());
    expect(daemon.removed).to.deep.equal([A]);
  });

  it("keeps what a bot wants, by whatever name, and what a container uses", async () => {
    await using daemon = await imageDaemon();
    const digest = `${R}/a@sha256:${"b".repeat(64)}`;
    await daemon.fault(A);
    await daemon.fault("docker.io/library/nginx:latest");
    await pass(daemon, [A, "nginx"]);
    daemon.names.set(digest, `sha256:${A}`);
    await pass(daemon, [digest, "nginx"]);
    daemon.names.delete(digest);
    daemon.used.add(`sha256:${A}`);
    await pass(daemon, ["nginx"]);
    expect(daemon.removed).to.deep.equal([]);
    daemon.used.clear();
    await pass(daemon, ["nginx"]);
    expect(daemon.removed).to.deep.equal([A]);
  });

  it("removes what a name meant before, once it means something else", async () => {
    await using daemon = await imageDaemon();
    daemon.registry.answer = () => "sha256:1";
    await daemon.fault(A);
    daemon.registry.answer = () => "sha256:2";
    await daemon.fault(A, "always");
    await pass(daemon, [A]);
    expect([daemon.removed, [...daemon.ids]]).to.deep.equal([["sha256:1"], ["sha256:2"]]);
  });

  it("leaves alone what somebody else gave a name, or another meaning", async () => {
    await using daemon = await imageDaemon();
    await daemon.fault(A);
    daemon.names.set(A, "sha256:theirs");
    daemon.names.set("their/name:1", `sha256:${A}`);
    await pass(daemon);
    expect([daemon.removed, await record(daemon)]).to.deep.equal([[], ""]);
  });

  it("removes nothing while a pull is under way, nor what a start has just asked for", async () => {
    await using daemon = await imageDaemon();
    await daemon.fault(A);
    const { promise: goOn, resolve } = Promise.withResolvers<void>();
    daemon.registry.answer = () => (request, response) => void goOn.then(() => lines({ error: "manifest unknown" })(request, response));
    const pulling = daemon.fault(`${R}/slow:1`);
    await pass(daemon);
    resolve();
    await pulling;
    expect(daemon.removed).to.deep.equal([]);
    await daemon.fault(A); // it is here: a start may come next
    await daemon.engine.collectImages(new Set());
    expect(daemon.removed).to.deep.equal([]);
    await pass(daemon);
    expect(daemon.removed).to.deep.equal([A]);
  });
});
