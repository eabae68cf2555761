import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { expect } from "chai";
import { EXIT_MEANINGS } from "../../../src/cli/exit-codes.ts";
import type { CliDeps, Output, UserBots } from "../../../src/cli/ports.ts";
import { runProgram } from "../../../src/cli/program.ts";
import { EngineUnreachableError, StoreUnreachableError } from "../../../src/core/errors.ts";
import type { FoundDocument } from "../../../src/core/bot.ts";
import type { RunRecord, StatusRecord } from "../../../src/core/records.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const unavailable = new StoreUnreachableError("Cannot reach MongoDB", { cause: new Error("refused") });
const env = { MONGO_URI: "mongodb://u:secret@h", POD_NAME: "host-1" };
const status = {
  _id: "a",
  epoch: 5,
  state: "running",
  since: new Date("2026-11-24T01:02:03.456Z"),
  worker: "host-1",
  container: "c".repeat(64),
  restarts: 2,
  nextStart: null,
  lastExit: null,
  message: "",
} as unknown as StatusRecord;
const run = {
  _id: "c1",
  bot: "a",
  started: null,
  ended: new Date(0),
  exit: 137,
  oom: "oom",
  worker: "w",
  startedWhy: "new",
  endedWhy: "crashed",
  log: "one\ntwo\nthree\n",
} as unknown as RunRecord;

function store(
  documents: readonly FoundDocument[],
  runs: readonly RunRecord[] = [],
): UserBots & { written: FoundDocument[]; closed: number } {
  const has = (id: string) =>
    documents.some(({ raw }) => (raw.kind === "string" ? raw.value : raw.kind === "objectId" ? raw.hex : "") === id);
  return {
    written: [],
    closed: 0,
    async *listBots() {
      yield* documents;
    },
    getBot: async (id) =>
      documents.filter(({ raw }) => (raw.kind === "string" ? raw.value : raw.kind === "objectId" ? raw.hex : "") === id),
    async putBot(bot) {
      this.written.push(bot);
      return "created";
    },
    setEnabled: async (id, enabled) => (!has(id) ? "missing" : enabled ? "unchanged" : "configured"),
    setRestartedAt: async (id) => has(id),
    placement: async () => undefined,
    segment: async () => undefined,
    worker: async () => undefined,
    deleteBot: async (id) => has(id),
    async *statuses() {
      yield status;
    },
    status: async (id) => (id === status._id ? status : undefined),
    runs: async (id) => (has(id) ? runs : []),
    async close() {
      this.closed++;
    },
  };
}

const doc = (value: string, more: object = {}): FoundDocument => ({
  raw: { kind: "string", value },
  document: { _id: value, image: "x", ...more },
});

async function cli(
  args: readonly string[],
  {
    bots = store([doc("a")]),
    stdin = "",
    tty,
    ...more
  }: Partial<Omit<CliDeps, "stdin">> & { bots?: UserBots; stdin?: string; tty?: number } = {},
) {
  const out = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr"): Output => {
    const through = new PassThrough();
    through.on("data", (chunk: Buffer) => (out[name] += chunk.toString()));
    return Object.assign(through, tty === undefined ? {} : { isTTY: true, columns: tty });
  };
  const streams = { stdin: PassThrough.from([stdin]), stdout: stream("stdout"), stderr: stream("stderr") };
  const code = await runProgram(args, {
    version: "1.2.3",
    env,
    serve: async () => 0,
    openUserBots: async () => bots,
    openFleetBooks: async () => Promise.reject(unavailable),
    readContainerLog: async () => undefined,
    openBotLogs: () => ({ find: async () => undefined, close: () => {} }),
    clock: new FakeClock(),
    listenForSignals: () => ({ stop: new AbortController().signal, close: () => {} }),
    openDoctor: () => ({ checks: [], close: async () => {} }),
    adoptFleet: async () => "Adopted",
    ...streams,
    ...more,
  });
  return { code, ...out };
}

const serve: CliDeps["serve"] = async ({ config }) => (config.maxSegment === 64 ? 78 : 0);
const long = (text: string) => text.split("\n").some((line) => line.length > 80);

describe("the command line", () => {
  it("serves when told nothing, with the config, and passes the exit code on", async () => {
    expect((await cli([], { serve })).code).to.equal(78);
    expect((await cli(["serve"], { serve })).code).to.equal(78);
  });

  const commands = [
    [],
    ["serve"],
    ["config"],
    ["bots"],
    ["fleet"],
    ["fleet", "adopt"],
    ["drain"],
    ...["list", "get", "explain", "logs", "apply", "delete", "enable", "disable", "restart"].map((c) => ["bots", c]),
  ];
  for (const command of commands) {
    it(`explains itself: runtime ${[...command, "--help"].join(" ")}`, async () => {
      const { code, stdout } = await cli([...command, "--help"]);
      expect(code).to.equal(0);
      expect(stdout).to.include("Usage: runtime");
      expect(stdout).to.match(/Examples?:/);
    });
  }
  it("documents every exit code", async () => {
    const { stdout } = await cli(["--help"]);
    for (const [code, meaning] of EXIT_MEANINGS) expect(stdout).to.match(new RegExp(`^  ${code} +${meaning}$`, "m"));
  });
  it("tells its version", async () => expect(await cli(["--version"])).to.deep.equal({ code: 0, stdout: "1.2.3\n", stderr: "" }));

  const exits: readonly { why: string; args: readonly string[]; gives: number; says: string; more?: Parameters<typeof cli>[1] }[] = [
    { why: "an unknown command", args: ["bost"], gives: 2, says: "unknown command 'bost'" },
    { why: "an unknown sub-command", args: ["bots", "lst"], gives: 2, says: "Did you mean list?" },
    { why: "an unknown option", args: ["config", "--jsn"], gives: 2, says: "unknown option" },
    { why: "an unknown format", args: ["bots", "list", "--output", "xml"], gives: 2, says: "Allowed choices are table, json" },
    { why: "no file to apply", args: ["bots", "apply"], gives: 2, says: "--file" },
    { why: "no vow", args: ["fleet", "adopt"], gives: 2, says: "--old-fleet-is-stopped" },
    { why: "an unknown word after fleet", args: ["fleet", "adpot"], gives: 2, says: "unknown command 'adpot'" },
    { why: "nobody to drain", args: ["drain"], gives: 2, says: "missing required argument 'worker'" },
    { why: "no time to drain in", args: ["drain", "a", "--wait", "0"], gives: 2, says: "whole number of seconds" },
    { why: "MongoDB away from a fleet", args: ["fleet"], gives: 69, says: "Cannot reach MongoDB" },
    { why: "no number", args: ["bots", "logs", "a", "--tail", "-1"], gives: 2, says: "whole number" },
    { why: "two logs at once", args: ["bots", "logs", "a", "-f", "--previous"], gives: 2, says: "cannot be used with option '--previous'" },
    {
      why: "an endless JSON",
      args: ["bots", "logs", "a", "-f", "--output", "json"],
      gives: 2,
      says: "cannot be used with option '--output",
    },
    { why: "no time to wait", args: ["bots", "restart", "a", "--timeout", "0"], gives: 2, says: "whole number of seconds" },
    { why: "a bot to restart that is away", args: ["bots", "restart", "b"], gives: 66, says: 'Cannot find the bot "b"' },
    { why: "a bot to explain that is away", args: ["bots", "explain", "b"], gives: 66, says: 'Cannot find the bot "b"' },
    { why: "a bot to follow that is away", args: ["bots", "logs", "-f", "b"], gives: 66, says: 'Cannot find the bot "b"' },
    {
      why: "a disabled bot to restart",
      args: ["bots", "restart", "a"],
      gives: 1,
      says: "it is disabled",
      more: { bots: store([doc("a", { enabled: false })]) },
    },
    {
      why: "an invalid bot to restart",
      args: ["bots", "restart", "a"],
      gives: 65,
      says: "image: must be in lower case",
      more: { bots: store([doc("a", { image: "X" })]) },
    },
    { why: "an id that is none", args: ["bots", "get", ""], gives: 2, says: "_id: must not be empty" },
    { why: "a file that is away", args: ["bots", "apply", "-f", "/none"], gives: 66, says: 'Cannot read the file "/none"' },
    { why: "a bot that is away", args: ["bots", "get", "b"], gives: 66, says: 'Cannot find the bot "b"' },
    { why: "a log of nobody", args: ["bots", "logs", "b"], gives: 66, says: 'Cannot find the bot "b"' },
    { why: "a bot to disable that is away", args: ["bots", "disable", "a", "b"], gives: 66, says: 'Cannot find the bot "b"' },
    {
      why: "MongoDB away",
      args: ["bots", "list"],
      gives: 69,
      says: "Cannot reach MongoDB\n  caused by: refused",
      more: { openUserBots: async () => Promise.reject(unavailable) },
    },
    { why: "a wrong configuration", args: ["bots", "list"], gives: 78, says: "MONGO_URI: is required", more: { env: {} } },
    {
      why: "a wrong configuration to show",
      args: ["config"],
      gives: 78,
      says: "MAX_SEGMENT: must be",
      more: { env: { ...env, MAX_SEGMENT: "0" } },
    },
    {
      why: "anything else",
      args: ["bots", "list"],
      gives: 1,
      says: "boom\\x07",
      more: { openUserBots: async () => Promise.reject(new Error("boom\u0007")) },
    },
  ];
  for (const { why, args, gives, says, more } of exits) {
    it(`exits ${gives}: ${why}`, async () => {
      const { code, stderr } = await cli(args, more);
      expect(stderr).to.include(says);
      expect(code).to.equal(gives);
    });
  }
  it("closes the store whatever happens", async () => {
    const bots = store([]);
    await cli(["bots", "get", "a"], { bots });
    await cli(["bots", "list"], { bots });
    expect(bots.closed).to.equal(2);
  });

  it("shows the settings without secrets", async () => {
    const text = await cli(["config"], { env: { ...env, MAX_SEGMENTS: "1" } });
    expect(text.stdout).to.match(/^MONGO_URI +mongodb:\/\/u:\*\*\*@h +environment /m);
    expect(text.stderr).to.include("did you mean MAX_SEGMENT?");
    const json = JSON.parse((await cli(["config", "--output", "json"])).stdout) as { name: string; origin: string }[];
    expect(json.find((r) => r.name === "DB_NAME")).to.include({ value: "bot_scheduler", origin: "default" });
  });

  describe("bots list", () => {
    const bots = store([
      doc("b", { enabled: false }),
      doc("a"),
      doc("c", { image: "X", note: "x".repeat(200) }),
      doc("d\u001b"),
      { raw: { kind: "objectId", hex: "0".repeat(24) }, document: { image: "x" } },
      doc("0".repeat(24)),
    ]);
    it("prints a table", async () => {
      const { stdout } = await cli(["bots", "list"], { bots });
      expect(stdout.split("\n").map((line) => line.split(/ {2,}/).slice(0, 3).join("|"))).to.deep.equal([
        "BOT|STATE|RESTARTS",
        `${"0".repeat(24)}|pending|0`,
        `${"0".repeat(24)}|invalid|0`,
        "a|running|2",
        "b|stopped|0",
        "c|invalid|0",
        "d\\x1b|pending|0",
        "",
      ]);
      expect(stdout).to.match(/^a +running +2 +host-1 +2026-11-24T01:02:03Z$/m);
    });
    it("cuts lines on a terminal alone", async () => {
      expect(long((await cli(["bots", "list"], { bots, tty: 80 })).stdout)).to.equal(false);
      expect(long((await cli(["bots", "list"], { bots })).stdout)).to.equal(true);
    });
    it("prints JSON whole", async () => {
      const rows = JSON.parse((await cli(["bots", "list", "--output", "json"], { bots, tty: 40 })).stdout) as {
        bot: string;
        message: string;
      }[];
      expect(rows.find((r) => r.bot === "c")?.message).to.include("write image: name:tag, such as nginx:1.27");
    });
  });

  it("shows one bot", async () => {
    const bots = store([doc("a", { env: { A: "1" } })], [run]);
    const { stdout } = await cli(["bots", "get", "a"], { bots });
    for (const part of [/^State: +running$/m, /^Container: +c{12}$/m, /^ {4}A: "1"$/m, /^STARTED .*ENDED BECAUSE$/m, /^- .* 137 +oom /m])
      expect(stdout).to.match(part);
    const json = JSON.parse((await cli(["bots", "get", "a", "--output", "json"], { bots })).stdout) as {
      runs: { container: string }[];
      document: object;
    };
    expect(json.document).to.deep.equal({ _id: "a", image: "x", env: { A: "1" } });
    expect(json.runs[0]).to.include({ container: "c1", ended: "1970-01-01T00:00:00.000Z" });
  });

  describe("bots logs", () => {
    it("asks the Engine first", async () =>
      expect((await cli(["bots", "logs", "a", "--tail", "2"], { readContainerLog: async () => "1\n2\n3\n" })).stdout).to.equal("2\n3\n"));
    it("then the last run", async () =>
      expect((await cli(["bots", "logs", "a", "--tail", "1"], { bots: store([doc("a")], [run]) })).stdout).to.equal("three\n"));
    it("and says where to ask when the bot runs on another worker", async () => {
      const bots = store([doc("a")], [run]);
      const there = await cli(["bots", "logs", "a", "--tail", "1"], { bots, env: { ...env, POD_NAME: "host-2" } });
      expect(there.stdout).to.equal("three\n");
      expect(there.stderr).to.equal(
        "It runs on host-1, and this is the last run that has ended. Ask there: runtime bots logs a, on that machine\n",
      );
      const cluster = { COORDINATION: "kubernetes", FENCE_DIR: "/f", POD_UID: "u", POD_NAME: "pod-b", NAMESPACE: "runtime" };
      expect((await cli(["bots", "logs", "a"], { bots, env: { ...env, ...cluster } })).stderr).to.include(
        "Ask there: kubectl exec -n runtime host-1 -- runtime bots logs a\n",
      );
    });
    it("and the last run as well when the Engine is away, which is a fault all the same", async () => {
      const { code, stdout, stderr } = await cli(["bots", "logs", "a", "--output", "json"], {
        bots: store([doc("a")], [run]),
        readContainerLog: async () => Promise.reject(new EngineUnreachableError("no")),
      });
      expect([code, JSON.parse(stdout)]).to.deep.equal([69, { bot: "a", source: "run", lines: ["one", "two", "three"] }]);
      expect(stderr).to.include("does not answer");
    });
    it("takes the last run before the container when told so", async () =>
      expect(
        (
          await cli(["bots", "logs", "a", "--previous", "--tail", "2"], {
            bots: store([doc("a")], [run]),
            readContainerLog: async () => "running",
          })
        ).stdout,
      ).to.equal("two\nthree\n"));
    it("says when no run has ended", async () =>
      expect(await cli(["bots", "logs", "a", "--previous"])).to.include({ code: 0, stdout: "", stderr: "No run has ended yet.\n" }));
    it("follows the bot until Ctrl-C, which is no fault", async () => {
      const ctrlC = new AbortController();
      let closed = 0;
      const { code, stdout, stderr } = await cli(["bots", "logs", "a", "-f", "--tail", "7"], {
        listenForSignals: () => ({ stop: ctrlC.signal, close: () => void closed++ }),
        openBotLogs: () => ({
          find: async () => ({
            id: "c".repeat(64),
            open: (tail) => ({
              async follow(write, signal) {
                await write(Buffer.from(`tail ${tail}\n`));
                ctrlC.abort(new Error("SIGINT"));
                signal.throwIfAborted();
                return "ended";
              },
            }),
          }),
          close: () => void closed++,
        }),
      });
      expect({ code, stdout, stderr, closed }).to.deep.equal({ code: 0, stdout: "tail 7\n", stderr: "", closed: 2 });
    });
    it("says when there is nothing yet", async () =>
      expect(await cli(["bots", "logs", "a"])).to.include({ code: 0, stdout: "", stderr: "No output yet.\n" }));
    it("lets no control reach a terminal", async () => {
      expect((await cli(["bots", "logs", "a"], { readContainerLog: async () => "a\u001b[2J", tty: 80 })).stdout).to.equal("a\\x1b[2J\n");
      expect((await cli(["bots", "logs", "a"], { readContainerLog: async () => "a\u001b[2J" })).stdout).to.equal("a\u001b[2J\n");
    });
  });

  describe("bots apply", () => {
    it("writes what standard input says", async () => {
      const bots = store([]);
      const { code, stdout, stderr } = await cli(["bots", "apply", "-f", "-"], {
        bots,
        stdin: "_id: a\nimage: x\nimagee: y\n---\n_id: b\nimage: x\n",
      });
      expect({ code, stdout }).to.deep.equal({ code: 0, stdout: "a created\nb created\n" });
      expect(stderr).to.include("warning: standard input: document 1, a: imagee: is not a field");
      expect(bots.written.map(({ raw }) => raw)).to.deep.equal([
        { kind: "string", value: "a" },
        { kind: "string", value: "b" },
      ]);
    });
    it("writes nothing of a file with one fault, and asks MongoDB nothing", async () => {
      const folder = await mkdtemp(join(tmpdir(), "cli-"));
      const file = join(folder, "bots.yaml");
      await writeFile(file, "_id: a\nimage: x\n---\n_id: b\nimage: X\nrestart: no\n");
      const { code, stderr } = await cli(["bots", "apply", "-f", file], {
        openUserBots: async () => Promise.reject(new Error("must not be asked")),
      });
      await rm(folder, { recursive: true });
      expect(code).to.equal(65);
      expect(stderr)
        .to.include(`${file}: document 2, b: image: must be in lower case`)
        .and.to.include("b: restart: must be")
        .and.to.include("Nothing was written: 2 faults");
    });
    it("refuses the twin of a stored ObjectId", async () => {
      const hex = "0".repeat(24);
      const bots = store([{ raw: { kind: "objectId", hex }, document: {} }]);
      const { code, stderr } = await cli(["bots", "apply", "-f", "-"], { bots, stdin: `{"_id": "${hex}", "image": "x"}` });
      expect([code, bots.written]).to.deep.equal([65, []]);
      expect(stderr).to.include("must not be the string twin");
    });
    it("prints JSON", async () =>
      expect(
        JSON.parse((await cli(["bots", "apply", "-f", "-", "--output", "json"], { stdin: "{_id: a, image: x}" })).stdout),
      ).to.deep.equal([{ bot: "a", result: "created" }]));
  });

  it("deletes, enables and disables", async () => {
    expect(await cli(["bots", "delete", "a"])).to.include({ code: 0, stdout: "a deleted\n" });
    expect(await cli(["bots", "disable", "a"])).to.include({ code: 0, stdout: "a disabled\n" });
    expect(await cli(["bots", "enable", "a"])).to.include({ code: 0, stdout: "a unchanged\n" });
  });
  it("adopts a fleet", async () =>
    expect(await cli(["fleet", "adopt", "--old-fleet-is-stopped"])).to.include({ code: 0, stdout: "Adopted\n" }));
});
