import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { expect } from "chai";
import { BOT_IMAGE } from "../../scripts/lib/bot-image.ts";
import { eventually } from "../support/eventually.ts";
import { type Keyed, TestRuntime } from "../support/runtime.ts";

const sh = (script: string): string[] => ["sh", "-c", script];
const aBot = (id: string, script: string, over: object = {}): Keyed => ({
  _id: id,
  image: BOT_IMAGE,
  command: sh(script),
  stopGraceSeconds: 0,
  resources: { memory: "32Mi" },
  ...over,
});
/** Says 0, 1, 2 ... and in which container. */
const counter = "i=0; while true; do echo $HOSTNAME $i; i=$((i+1)); sleep 0.2; done";

describe("system: the command line on a running fleet", function () {
  this.timeout(120_000);
  let runtime: TestRuntime;
  const children: ChildProcess[] = [];

  before(function () {
    if (process.env.DOCKER_HOST === undefined || process.env.MONGO_URI === undefined) this.skip();
  });
  beforeEach(async () => {
    runtime = new TestRuntime();
    await runtime.start();
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    await runtime.dispose();
  });

  /** A command that goes on until it is told to stop. */
  async function watch(args: readonly string[]) {
    const child = spawn(process.execPath, ["src/main.ts", ...args], { env: await runtime.env(), stdio: ["ignore", "pipe", "pipe"] });
    children.push(child);
    const out = {
      stdout: "",
      stderr: "",
      ended: once(child, "close").then(([code]) => code as number | null),
      interrupt: () => child.kill("SIGINT"),
    };
    child.stdout.on("data", (chunk: Buffer) => (out.stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (out.stderr += chunk.toString()));
    return out;
  }

  it("shows the fleet, drains its worker, and a restart ends the drain", async () => {
    await runtime.bots.insertOne(aBot("ticker", counter));
    await runtime.until("ticker", "running");
    const fleet = async () =>
      JSON.parse((await runtime.cli(["fleet", "--output", "json"])).stdout) as {
        readonly workers: { readonly pod: string; readonly state: string; readonly renews: boolean; readonly segments: number[] }[];
        readonly waiting: { readonly segment: number }[];
      };
    const [worker, ...others] = (await fleet()).workers;
    expect([worker?.state, worker?.renews, worker?.segments.length, others]).to.deep.equal(["up", true, 1, []]);

    const { code, stdout, stderr } = await runtime.cli(["drain", worker?.pod ?? "", "--wait", "60"]);
    expect([code, stderr]).to.satisfy(([c, text]: [number, string]) => c === 0 && text.includes("no other worker is up"));
    expect(stdout).to.include("drains: 1 segment to release").and.to.include("has released all its segments");
    const drained = await fleet();
    expect([drained.workers[0]?.state, drained.workers[0]?.renews, drained.workers[0]?.segments]).to.deep.equal(["draining", true, []]);
    expect(drained.waiting.map((w) => w.segment)).to.deep.equal(worker?.segments);
    expect(await runtime.docker.listContainers()).to.deep.equal([]);

    await runtime.stop();
    await runtime.start();
    await runtime.until("ticker", "running");
  });

  it("looks at itself, finds nothing wrong, and ends by itself", async () => {
    const { code, stdout, stderr } = await runtime.cli(["doctor", "--output", "json"]);
    const { checks } = JSON.parse(stdout) as { readonly checks: readonly { readonly check: string; readonly verdict: string }[] };
    expect([code, stderr]).to.deep.equal([0, ""]);
    const [store, engine] = [
      ["mongodb", "mongodb-bots", "mongodb-runtime", "mongodb-majority", "mongodb-changes"],
      ["docker", "docker-storage", "docker-cgroup", "docker-addresses"],
    ];
    expect(checks.map(({ check }) => check)).to.deep.equal([...store, ...engine]);
    for (const name of ["mongodb", "mongodb-bots", "mongodb-majority", "docker", "docker-cgroup"])
      expect(checks.find(({ check }) => check === name)?.verdict, name).to.equal("ok");
  });

  it("restarts a bot, waits for it, and apply does not undo that", async () => {
    const file = JSON.stringify(aBot("ticker", counter));
    await runtime.cli(["bots", "apply", "-f", "-"], file);
    const before = await runtime.until("ticker", "running");
    const { code, stdout, stderr } = await runtime.cli(["bots", "restart", "ticker", "--wait"]);
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: "" });
    expect(stdout).to.match(/^"ticker" restarts: its container is stopped .*\n"ticker" running\n$/);
    const after = await runtime.until("ticker", "running");
    expect(after.container).to.not.equal(before.container);
    expect(await runtime.containers("ticker")).to.have.lengthOf(1);
    expect((await runtime.cli(["bots", "apply", "-f", "-"], file)).stdout).to.equal("ticker unchanged\n");
    const runs = await runtime.runtimeCollection("runs").find({ bot: "ticker" }).toArray();
    expect(runs.map((r) => [r.startedWhy, r.endedWhy])).to.deep.equal([["new", "outdated"]]);
    const previous = await runtime.cli(["bots", "logs", "ticker", "--previous", "--tail", "1"]);
    expect(previous.stdout).to.match(/^ticker \d+\n$/);
    await eventually("the new container has a log of its own", async () =>
      (await runtime.cli(["bots", "logs", "ticker"])).stdout.startsWith("ticker 0\n"),
    );
  });

  it("runs what has ended once more", async () => {
    await runtime.bots.insertOne(aBot("once", "echo done", { restart: "never" }));
    await runtime.until("once", "completed");
    expect((await runtime.cli(["bots", "explain", "once"])).stdout).to.include("it starts again only when its document changes");
    expect((await runtime.cli(["bots", "restart", "once", "--wait"])).stdout).to.include("it has completed and starts once more");
    await eventually("it ran twice", async () => (await runtime.runtimeCollection("runs").countDocuments({ bot: "once" })) === 2);
  });

  it("explains a bot that crashes, one that is invalid and one that runs", async () => {
    await runtime.bots.insertMany([
      aBot("crasher", "echo about to fail; exit 7"),
      aBot("broken", "x", { image: "X Y" }),
      aBot("fine", counter),
    ]);
    await eventually("it has crashed three times", async () => {
      const now = await runtime.status("crasher");
      return now !== null && now.attempt >= 3 && now.state === "backoff";
    });
    const crasher = await runtime.cli(["bots", "explain", "crasher"]);
    expect(crasher.stdout)
      .to.match(/^State: +backoff$/m)
      .and.to.match(/^Why: +last exit: 7, .* ago \(crashed\)$/m)
      .and.to.match(/^Next: +starts again .*\(crash \d in a row, back-off\)$/m)
      .and.to.match(/^STARTED +ENDED +LASTED +EXIT/m)
      .and.to.match(/ 7 +no +crashed +crashed$/m);
    const json = JSON.parse((await runtime.cli(["bots", "explain", "crasher", "--output", "json"])).stdout) as { runs: { exit: number }[] };
    expect(json.runs.map((r) => r.exit)).to.include.members([7, 7, 7]);
    await runtime.until("broken", "invalid");
    const broken = await runtime.cli(["bots", "explain", "broken"]);
    expect(broken.stdout)
      .to.match(/^Fault: +image: .*: write image: /m)
      .and.to.match(/^Next: +nothing until its document is corrected$/m);
    await runtime.until("fine", "running");
    expect((await runtime.cli(["bots", "explain", "fine"])).stdout).to.match(/^Next: +runs in segment \d+ owned by \S+ under epoch \d+$/m);
  });

  it("follows a bot across a restart and ends when it is disabled", async () => {
    await runtime.bots.insertOne(aBot("ticker", counter));
    await runtime.until("ticker", "running");
    const log = await watch(["bots", "logs", "ticker", "-f"]);
    await eventually("its lines come", async () => log.stdout.includes("ticker 5\n"));
    await runtime.cli(["bots", "restart", "ticker", "--wait"]);
    await eventually(
      "the new container's lines come",
      async () => log.stdout.split("ticker 0\n").length === 3,
      20_000,
      async () => log.stdout + log.stderr,
    );
    await eventually("and go on", async () => log.stdout.split("ticker 3\n").length === 3);
    await runtime.cli(["bots", "disable", "ticker"]);
    expect(await log.ended).to.equal(0);
    expect(log.stderr)
      .to.match(/^--- container \w{12} ended with exit \d+ \(outdated\)$/m)
      .and.to.match(/^--- no more output: the bot is disabled$/m);
    const runs = await runtime.runtimeCollection("runs").find({ bot: "ticker" }).sort({ ended: 1 }).toArray();
    expect(log.stdout, "every line of both runs, once").to.equal(runs.map((r) => r.log as string).join(""));
  });

  it("shows every line of a crasher's short runs, until Ctrl-C", async () => {
    await runtime.bots.insertOne(aBot("crasher", "echo one; echo two; exit 7"));
    await eventually("it has crashed", async () => (await runtime.runtimeCollection("runs").countDocuments({ bot: "crasher" })) >= 1);
    const log = await watch(["bots", "logs", "crasher", "-f"]);
    const isComplete = async (): Promise<boolean> => (await runtime.runtimeCollection("runs").countDocuments({ bot: "crasher" })) >= 4;
    await eventually("it has crashed four times", isComplete, 40_000);
    await eventually(
      "they are shown",
      async () => log.stdout.split("one\ntwo\n").length >= 4,
      20_000,
      async () => log.stdout + log.stderr,
    );
    log.interrupt();
    expect(await log.ended).to.equal(0);
    expect(log.stdout).to.match(/^(one\ntwo\n)+$/);
  });

  it("loses and doubles no line while the Engine rotates the log", async () => {
    // 16 MB in all: the Engine keeps two files of 5 MB, so most of it is gone from its disk when the last line comes.
    const script =
      "i=0; while [ $i -lt 160 ]; do seq $((i*1000)) $((i*1000+999)) | sed 's/$/ xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/'; i=$((i+1)); sleep 0.05; done; sleep 600";
    await runtime.bots.insertOne(aBot("talker", `sleep 3; ${script}`));
    await runtime.until("talker", "running");
    const log = await watch(["bots", "logs", "talker", "-f"]);
    await eventually(
      "the last line comes",
      async () => log.stdout.includes("\n159999 x"),
      60_000,
      async () => log.stdout.slice(-300) + log.stderr,
    );
    const numbers = log.stdout
      .trimEnd()
      .split("\n")
      .map((line) => Number(line.split(" ")[0]));
    const odd = numbers.findIndex((n, i) => n !== i);
    expect(odd === -1 ? undefined : numbers.slice(odd - 2, odd + 3), "the first gap or repetition").to.equal(undefined);
    expect(numbers).to.have.lengthOf(160_000);
    log.interrupt();
    expect(await log.ended).to.equal(0);
  });
});
