import { expect } from "chai";
import type { BotSpec } from "../../src/core/bot.ts";
import type { Actual, Container } from "../../src/core/containers.ts";
import { EngineRefusedError, ImageUnavailableError } from "../../src/core/errors.ts";
import type { BotId, ContainerId } from "../../src/core/ids.ts";
import type { Engine, StartOrder } from "../../src/worker/ports.ts";
import { aSpec, bot, epoch, hash, segment, sid } from "../support/builders.ts";
import type { Program } from "../support/fake-engine.ts";

export type Subject = {
  readonly engine: Engine;
  /** Puts somebody else's container under the bot's name. */
  occupy(bot: BotId): Promise<void>;
};

type ProgramName = "idle" | "deaf" | "crash" | "clean" | "glutton" | "talker";

/** What test bots do: the script for a real shell and the same thing in the fake's words. */
const PROGRAMS: Readonly<Record<ProgramName, { readonly script: string; readonly fake: Program }>> = {
  idle: { script: "exec sleep 600", fake: {} },
  deaf: { script: "trap '' TERM; echo ready; while :; do sleep 1; done", fake: { ignoresTerm: true, prints: "ready\n" } },
  crash: { script: "exit 3", fake: { exits: { code: 3 } } },
  clean: { script: "exit 0", fake: { exits: { code: 0 } } },
  glutton: { script: "exec tail /dev/zero", fake: { exits: { code: 137, oom: "oom" } } },
  talker: {
    script: "for i in 1 2 3 4 5 6 7 8 9; do echo line-$i; done; sleep 0.1; echo complaint >&2; exit 0",
    fake: { exits: { code: 0 }, prints: `${[1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => `line-${i}\n`).join("")}complaint\n` },
  },
};

export const fakeProgramOf = ({ spec }: StartOrder): Program =>
  Object.values(PROGRAMS).find(({ script }) => script === spec.command?.[2])?.fake ?? {};

/** One run of the suite: its orders carry a session id of their own, so that it removes what it made and no more. */
const SID = sid(`contract-${process.pid}`);
export const order = (id: string, script: string, over: Partial<BotSpec> = {}): StartOrder => ({
  bot: bot(id),
  spec: aSpec({ command: ["sh", "-c", script], ...over }),
  hash: hash("a".repeat(64)),
  segment: segment(3),
  epoch: epoch(1_700_000_000),
  sid: SID,
  why: "new",
});

/** Looks again until `look` gives something. @throws what it last gave, after `limitMs`. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>, limitMs = 10_000): Promise<T> {
  for (const deadline = performance.now() + limitMs; ;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (performance.now() > deadline) throw new Error(`Cannot see ${what} within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const sees = (what: string, test: () => boolean): Promise<true> => eventually(what, async () => (test() ? true : undefined));

export function ours(actual: Actual): Container {
  if (actual.kind !== "ours") throw new Error(`expected a container of ours, got ${actual.kind}`);
  return actual.container;
}

export const exited = (engine: Engine, id: string): Promise<Container> =>
  eventually(`the end of "${id}"`, async () => {
    const container = ours(await engine.inspect(bot(id)));
    return container.state === "exited" ? container : undefined;
  });

export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail("expected a rejection"),
    (error: unknown) => error,
  );
}

export async function refusedWith(status: number, promise: Promise<unknown>): Promise<void> {
  const error = await rejection(promise);
  expect(error).to.be.instanceOf(EngineRefusedError);
  expect((error as EngineRefusedError).status).to.equal(status);
}

export async function sweep(engine: Engine): Promise<void> {
  const left = (await engine.list()).filter((container) => container.sid === SID);
  await Promise.all(left.map((container) => engine.remove(container)));
}

/** What every Engine promises. */
export function engineContract(subject: () => Subject): void {
  const engine = (): Engine => subject().engine;
  const run = async (id: string, program: ProgramName, over: Partial<BotSpec> = {}): Promise<ContainerId> => {
    const container = await engine().create(order(id, PROGRAMS[program].script, over));
    await engine().start(container);
    return container;
  };

  afterEach(() => sweep(engine()));

  it("tells who it is", async () => {
    await engine().ping();
    const { id, version, apiVersion } = await engine().identify();
    expect([id, version, apiVersion].every((text) => text.length > 0)).to.equal(true);
  });

  for (const { why, id } of [
    { why: "a plain name", id: "ticker" },
    { why: "200 emoji", id: "🤖".repeat(200) },
    { why: "all that a shell or a URL would mind", id: "../a b?c#d%2e&é'\"`$(x)\\" },
  ]) {
    it(`creates, lists and inspects what was ordered: ${why}`, async () => {
      const made = await engine().create(order(id, PROGRAMS.idle.script));
      const { imageId, ...created } = ours(await engine().inspect(bot(id)));
      const { hash: spec, segment, epoch, sid } = order(id, "");
      expect(created).to.deep.equal({ id: made, bot: id, spec, segment, epoch, sid, graceSeconds: 1, startedWhy: "new", state: "created" });
      expect((await engine().list()).filter((c) => c.sid === sid)).to.deep.equal([created]);
      expect(imageId).to.match(/^sha256:./);
      await engine().start(made);
      expect(ours(await engine().inspect(bot(id))).state).to.equal("running");
    });
  }

  it("refuses a taken name with 409", async () => {
    await run("twin", "idle");
    await refusedWith(409, engine().create(order("twin", PROGRAMS.idle.script)));
    expect(ours(await engine().inspect(bot("twin"))).state).to.equal("running");
  });

  it("gives one of many creates at a time the name", async () => {
    const all = await Promise.allSettled([1, 2, 3, 4].map(() => engine().create(order("race", PROGRAMS.idle.script))));
    expect(all.filter(({ status }) => status === "fulfilled")).to.have.lengthOf(1);
  });

  it("sees a stranger under the name, and neither lists nor replaces it", async () => {
    await subject().occupy(bot("taken"));
    expect(await engine().inspect(bot("taken"))).to.deep.equal({ kind: "foreign" });
    expect((await engine().list()).some((c) => c.bot === "taken")).to.equal(false);
    await refusedWith(409, engine().create(order("taken", PROGRAMS.idle.script)));
  });

  it("finds nothing under a free name", async () => {
    expect(await engine().inspect(bot("nobody"))).to.deep.equal({ kind: "none" });
  });

  it("refuses to create from an image it does not have", async () => {
    await refusedWith(404, engine().create(order("imageless", "true", { image: "bot-runner/none:1" })));
    expect(await engine().inspect(bot("imageless"))).to.deep.equal({ kind: "none" });
  });

  it("starts what runs already, and refuses what is gone", async () => {
    const id = await run("late", "idle");
    await engine().start(id);
    await engine().remove(ours(await engine().inspect(bot("late"))));
    await refusedWith(404, engine().start(id));
    expect(await engine().inspect(bot("late"))).to.deep.equal({ kind: "none" });
  });

  for (const { program, code, oom, over = {} } of [
    { program: "crash", code: 3, oom: "no" },
    { program: "clean", code: 0, oom: "no" },
    { program: "glutton", code: 137, oom: "oom", over: { resources: { memoryBytes: 16 * 1024 * 1024, pids: 16 } } },
  ] as const) {
    it(`tells how a run ended: ${program}`, async () => {
      await run(program, program, over);
      const { exit } = await exited(engine(), program);
      expect([exit?.code, exit?.oom, exit?.error]).to.deep.equal([code, oom, ""]);
      expect(exit?.startedAt).to.be.instanceOf(Date);
      expect(exit?.finishedAt).to.be.instanceOf(Date);
    });
  }

  for (const { why, program, grace, code, leastMs } of [
    { why: "a bot that obeys", program: "idle", grace: 10, code: 143, leastMs: 0 },
    { why: "a bot that ignores SIGTERM", program: "deaf", grace: 1, code: 137, leastMs: 900 },
    { why: "no grace", program: "idle", grace: 0, code: 137, leastMs: 0 },
  ] as const) {
    it(`stops for sure: ${why}`, async () => {
      const id = await run("stopped", program);
      // A shell that has not set its trap yet would still obey.
      if (program === "deaf")
        await eventually("its trap", async () => ((await engine().logTail(id, 100)) === "ready\n" ? true : undefined));
      const began = performance.now();
      await engine().stop(id, grace);
      expect(performance.now() - began).to.be.within(leastMs, 8_000);
      const { state, exit } = ours(await engine().inspect(bot("stopped")));
      expect([state, exit?.code]).to.deep.equal(["exited", code]);
    });
  }

  it("stops what is stopped, never ran, or is gone", async () => {
    const id = await engine().create(order("still", PROGRAMS.idle.script));
    await engine().stop(id, 5);
    await engine().stop(id, 0);
    await engine().remove(ours(await engine().inspect(bot("still"))));
    await engine().stop(id, 5);
    await engine().stop(id, 0);
  });

  it("removes a running container, twice and by two at a time", async () => {
    await run("unwanted", "deaf");
    const container = ours(await engine().inspect(bot("unwanted")));
    await Promise.all([engine().remove(container), engine().remove(container)]);
    expect(await engine().inspect(bot("unwanted"))).to.deep.equal({ kind: "none" });
    await engine().remove(container);
  });

  it("reads the log's tail", async () => {
    const id = await run("talker", "talker");
    await exited(engine(), "talker");
    for (const { why, maxBytes, gives } of [
      { why: "all of it", maxBytes: 1_000, gives: `${[1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => `line-${i}\n`).join("")}complaint\n` },
      { why: "cut at the start of a line", maxBytes: 20, gives: "line-9\ncomplaint\n" },
      { why: "a cut that falls on the start of a line", maxBytes: 17, gives: "line-9\ncomplaint\n" },
    ])
      expect(await engine().logTail(id, maxBytes), why).to.equal(gives);
  });

  it("has an image that is there, for many at a time", async () => {
    const { signal } = new AbortController();
    await Promise.all([1, 2, 3].map(() => engine().ensureImage("bot-runner/demo-bot:1", "if-not-present", signal)));
  });

  it("says that an image cannot be had, to all who wait for it", async () => {
    const { signal } = new AbortController();
    const ends = await Promise.all([1, 2, 3].map(() => rejection(engine().ensureImage("bot-runner/none:1", "if-not-present", signal))));
    for (const end of ends) expect(end).to.be.instanceOf(ImageUnavailableError);
  });

  it("uses only what is there when it may not pull", async () => {
    const { signal } = new AbortController();
    await engine().ensureImage("bot-runner/demo-bot:1", "never", signal);
    const error = await rejection(engine().ensureImage("bot-runner/none:3", "never", signal));
    expect(error).to.be.instanceOf(ImageUnavailableError).with.property("permanent", true);
    expect((error as Error).message).to.contain("not present and imagePullPolicy is never");
  });

  it("lets one caller leave a pull without spoiling it for the others", async () => {
    const leaver = new AbortController();
    const left = rejection(engine().ensureImage("bot-runner/none:2", "if-not-present", leaver.signal));
    const stays = rejection(engine().ensureImage("bot-runner/none:2", "if-not-present", new AbortController().signal));
    leaver.abort(new Error("enough"));
    expect(await left).to.equal(leaver.signal.reason);
    expect(await stays).to.be.instanceOf(ImageUnavailableError);
  });

  it("hints at a fresh start, then at each bot, until told to end", async () => {
    const hints: (BotId | undefined)[] = [];
    const over = new AbortController();
    const watching = engine().watch((hint) => hints.push(hint), over.signal);
    await sees("the first hint", () => hints.length === 1);
    expect(hints).to.deep.equal([undefined]);
    await run("seen", "crash");
    await sees("start and die", () => hints.filter((hint) => hint === "seen").length >= 2);
    await engine().remove(ours(await engine().inspect(bot("seen"))));
    await sees("destroy", () => hints.filter((hint) => hint === "seen").length >= 3);
    over.abort();
    await watching;
    await engine().watch(() => expect.fail("hinted after the end"), over.signal);
  });
}
