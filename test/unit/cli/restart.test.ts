import { PassThrough } from "node:stream";
import { expect } from "chai";
import type { CliDeps, UserBots } from "../../../src/cli/ports.ts";
import { runProgram } from "../../../src/cli/program.ts";
import type { BotState } from "../../../src/core/bot.ts";
import type { StatusRecord } from "../../../src/core/records.ts";
import { createBotReader } from "../../../src/document/read-bot.ts";
import { withKeptFields } from "../../../src/document/kept-fields.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const read = createBotReader({ maxStopGraceSeconds: 60 });
const hashOf = (document: Record<string, unknown>) => {
  const reading = read({ raw: { kind: "string", value: "a" }, document });
  return reading.kind === "valid" ? reading.hash : null;
};

/** `runtime bots restart a ...` of a bot in `state`; each look at it finds the next of `then` under its new document. */
async function restart(args: readonly string[], state: BotState | undefined, then: readonly BotState[] = []) {
  const document: Record<string, unknown> = { _id: "a", image: "x", stopGraceSeconds: 5 };
  const clock = new FakeClock();
  const out = { stdout: "", stderr: "" };
  const states = [...then];
  const old = hashOf(document);
  const bots: Partial<UserBots> = {
    getBot: async () => [{ raw: { kind: "string", value: "a" }, document }],
    async status() {
      const fresh = document.restartedAt === undefined ? undefined : (states.shift() ?? then.at(-1));
      const now = fresh ?? state;
      if (now === undefined) return undefined;
      return { state: now, spec: fresh === undefined ? old : hashOf(document), message: "why" } as StatusRecord;
    },
    async setRestartedAt(_id, at) {
      document.restartedAt = at;
      return true;
    },
    close: async () => {},
  };
  const stream = (name: "stdout" | "stderr") => new PassThrough().on("data", (chunk: Buffer) => (out[name] += chunk.toString()));
  const ended = runProgram(["bots", "restart", "a", ...args], {
    version: "1",
    env: { MONGO_URI: "mongodb://h" },
    openUserBots: async () => bots as UserBots,
    clock,
    stdout: stream("stdout"),
    stderr: stream("stderr"),
  } as unknown as CliDeps);
  let isOver = false;
  const over = ended.finally(() => (isOver = true));
  const passTime = async (): Promise<void> => (isOver ? undefined : clock.advance(1_000).then(passTime));
  await passTime();
  return { code: await over, ...out, document };
}

describe("runtime bots restart", () => {
  for (const { state, says } of [
    { state: "running", says: '"a" restarts: its container is stopped (SIGTERM, at most 5 s of grace) and, proven gone, a new one starts' },
    { state: "backoff", says: '"a" restarts: its back-off ends and it starts now' },
    { state: "failed", says: '"a" restarts: it has failed and starts once more' },
    { state: undefined, says: '"a" restarts: it starts as soon as its owner sees this' },
  ] as const)
    it(`says what follows for a bot that is ${state ?? "unknown"}`, async () => {
      const { code, stdout, document } = await restart([], state);
      expect({ code, stdout }).to.deep.equal({ code: 0, stdout: `${says}\n` });
      expect(document.restartedAt).to.equal("2027-01-15T08:00:00.000Z");
    });
  it("waits until the new document runs", async () => {
    const { code, stdout } = await restart(["--wait"], "running", ["starting", "backoff", "running"]);
    expect([code, stdout.split("\n").at(-2)]).to.deep.equal([0, '"a" running']);
  });
  it("does not take the old container for the new one", async () => {
    const { code, stderr } = await restart(["--wait", "--timeout", "3"], "running");
    expect(code).to.equal(1);
    expect(stderr).to.include('Cannot say that "a" runs: after 3 s it is running, why');
  });
  it("gives up after the time it was given", async () => {
    const { code, stderr } = await restart(["--wait", "--timeout", "3"], "running", ["backoff"]);
    expect([code, stderr]).to.deep.equal([1, 'Cannot say that "a" runs: after 3 s it is backoff, why; runtime bots explain tells more\n']);
  });
  it("fails with a bot that failed anew", async () => expect((await restart(["--wait"], "failed", ["failed"])).code).to.equal(1));
  it("prints JSON once", async () =>
    expect(JSON.parse((await restart(["--wait", "--output", "json"], "running", ["running"])).stdout)).to.deep.equal({
      bot: "a",
      restartedAt: "2027-01-15T08:00:00.000Z",
      result: "running",
    }));
});

describe("withKeptFields()", () => {
  const stored = { image: "x", restartedAt: "then", note: 1 };
  for (const { why, written, gives } of [
    { why: "keeps what only a command writes", written: { image: "y" }, gives: { image: "y", restartedAt: "then" } },
    { why: "takes the file's word", written: { restartedAt: "now" }, gives: { restartedAt: "now" } },
    { why: "takes the file's null", written: { restartedAt: null }, gives: { restartedAt: null } },
  ])
    it(why, () => expect(withKeptFields(written, stored)).to.deep.equal(gives));
  it("adds nothing where nothing was", () => expect(withKeptFields({ a: 1 }, {})).to.deep.equal({ a: 1 }));
});
