import { PassThrough } from "node:stream";
import { expect } from "chai";
import type { CliDeps, Doctor } from "../../../src/cli/ports.ts";
import { runProgram } from "../../../src/cli/program.ts";
import { type Check, fail, ok, type Said, warn } from "../../../src/doctor/finding.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const aCheck = (name: string, said: Said): Check => ({ name, mend: "mend it", look: async () => said });
const long = "x".repeat(200);
const CHECKS = [
  aCheck("mongodb", ok("reached")),
  aCheck("docker", warn("slow", "wait")),
  aCheck("fence", fail(`hangs ${long}`, "look at\nit")),
];

async function doctor(args: readonly string[], checks: readonly Check[] = CHECKS, close: Doctor["close"] = async () => {}) {
  const out = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr") => {
    const through = new PassThrough();
    through.on("data", (chunk: Buffer) => (out[name] += chunk.toString()));
    return Object.assign(through, { isTTY: true, columns: 40 });
  };
  const limits: number[] = [];
  const clock = new FakeClock();
  const unused = () => Promise.reject(new Error("not asked for"));
  const deps: CliDeps = {
    version: "1.2.3",
    env: { MONGO_URI: "mongodb://h" },
    stdin: PassThrough.from([]),
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    serve: unused,
    openUserBots: unused,
    openFleetBooks: unused,
    readContainerLog: unused,
    openBotLogs: () => ({ find: unused, close: () => {} }),
    listenForSignals: () => ({ stop: new AbortController().signal, close: () => {} }),
    adoptFleet: unused,
    clock,
    openDoctor: (_, limitMs) => {
      limits.push(limitMs);
      return { checks, close };
    },
  };
  const ended = runProgram(["doctor", ...args], deps);
  return { ended, out, limits, clock };
}

const run = async (...given: Parameters<typeof doctor>) => {
  const { ended, out, limits } = await doctor(...given);
  return { code: await ended, ...out, limits };
};

describe("runtime doctor", () => {
  it("prints a line for each check, never cut, and exits with 1 when one failed", async () => {
    const { code, stdout, stderr } = await run([]);
    expect(stdout.split("\n")).to.deep.equal([
      "ok    mongodb  reached",
      "warn  docker   slow; fix: wait",
      `fail  fence    hangs ${long}; fix: look at\\nit`,
      "",
    ]);
    expect([code, stderr]).to.deep.equal([1, "1 of 3 checks failed: fence\n"]);
  });

  it("exits with 0 over warnings", async () => {
    const { code, stderr } = await run([], CHECKS.slice(0, 2));
    expect([code, stderr]).to.deep.equal([0, ""]);
  });

  it("prints JSON for scripts, with the same exit code", async () => {
    const { code, stdout } = await run(["--output", "json"], CHECKS.slice(1));
    expect(code).to.equal(1);
    expect(JSON.parse(stdout)).to.deep.equal({
      verdict: "fail",
      checks: [
        { check: "docker", verdict: "warn", what: "slow", fix: "wait" },
        { check: "fence", verdict: "fail", what: `hangs ${long}`, fix: "look at\nit" },
      ],
    });
  });

  it("looks at some groups only", async () => {
    const { code, stdout } = await run(["--only", "mongodb,docker"]);
    expect([code, stdout.split("\n").length]).to.deep.equal([0, 3]);
  });

  for (const { why, args, says } of [
    { why: "a group that there is not", args: ["--only", "mongo"], says: "some of mongodb,docker,fence,kubernetes" },
    { why: "a group that this process has nothing of", args: ["--only", "kubernetes"], says: "Cannot look at kubernetes" },
    { why: "a limit that is no number", args: ["--timeout", "soon"], says: "whole number of seconds" },
  ])
    it(`refuses ${why}`, async () => {
      const { code, stderr } = await run(args);
      expect([code, stderr]).to.satisfy(([c, text]: [number, string]) => c === 2 && text.includes(says), stderr);
    });

  it("gives each check the time it is told", async () => {
    expect((await run([])).limits).to.deep.equal([10_000]);
    expect((await run(["--timeout", "3"])).limits).to.deep.equal([3_000]);
  });

  it("waits a second for connections that do not close, and ends", async () => {
    const { ended, clock } = await doctor([], CHECKS.slice(0, 1), () => new Promise(() => {}));
    await clock.advance(999);
    let code: number | undefined;
    void ended.then((given) => (code = given));
    await clock.advance(0);
    expect(code).to.equal(undefined);
    await clock.advance(1);
    expect(await ended).to.equal(0);
  });
});
