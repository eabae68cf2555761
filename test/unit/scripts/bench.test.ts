import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";

import { expect } from "chai";

import { type Bench, judge } from "../../../scripts/lib/bench.ts";
import { identify, stillRuns } from "../../../scripts/lib/run-dir.ts";

describe("scripts/lib/bench judge()", () => {
  for (const { why, ratio, passes, says } of [
    { why: "on its target", ratio: 0.5, passes: true, says: "ratio 0.50, target 0.5, gate 0.40: met" },
    { why: "at the gate", ratio: 0.4, passes: true, says: "ratio 0.40, target 0.5, gate 0.40: missed, within the gate" },
    { why: "below the gate", ratio: 0.399, passes: false, says: "ratio 0.40, target 0.5, gate 0.40: MISSED" },
    { why: "of no rounds", ratio: Number.NaN, passes: false, says: "ratio NaN, target 0.5, gate 0.40: MISSED" },
    { why: "beside nothing", ratio: Infinity, passes: false, says: "ratio Infinity, target 0.5, gate 0.40: MISSED" },
  ])
    it(`${passes ? "lets a ratio pass" : "fails a ratio"} ${why}`, () => {
      const said: string[] = [];
      expect(judge({ say: (line: string) => said.push(line) } as unknown as Bench, "it", ratio, 0.5)).to.equal(passes);
      expect(said).to.deep.equal([`it: ${says}`]);
    });
});

// Starts a process, says which and where, and goes on until that ends, which it takes for a failure.
const ENDLESS = `
  import { spawn } from "node:child_process";
  import { runBareBench } from "${new URL("../../../scripts/lib/bench.ts", import.meta.url).href}";
  import { recordProcess } from "${new URL("../../../scripts/lib/run-dir.ts", import.meta.url).href}";
  await runBareBench("bench:endless", async ({ runDir, say }) => {
    const child = spawn("sleep", ["60"], { detached: true, stdio: "ignore" });
    await recordProcess(runDir, child.pid);
    say("began " + child.pid + " in " + runDir);
    return new Promise((_, fail) => child.once("exit", () => fail(new Error("it was ended"))));
  });
`;

describe("scripts/lib/bench runBareBench()", () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    it(`takes down what was started when it gets ${signal}`, async function () {
      this.timeout(20_000);
      const bench = spawn(process.execPath, ["--input-type=module", "--eval", ENDLESS], { stdio: ["ignore", "pipe", "inherit"] });
      const exit = once(bench, "exit");
      const said = await new Promise<RegExpExecArray>((done, fail) => {
        let text = "";
        bench.stdout.on("data", (chunk: Buffer) => {
          text += chunk.toString();
          const found = /began (\d+) in (\S+)\n/.exec(text);
          if (found !== null) done(found);
        });
        bench.once("exit", () => fail(new Error(`It ended before it began: ${text}`)));
      });
      const [, pid = "", dir = ""] = said;
      expect(await stillRuns(dir, Number(pid))).to.equal(true);
      bench.kill(signal);
      expect(await exit).to.deep.equal([130, null]);
      expect(existsSync(dir)).to.equal(false);
      expect(await identify(Number(pid))).to.equal(undefined);
    });
});
