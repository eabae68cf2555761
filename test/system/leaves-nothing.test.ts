import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { expect } from "chai";

import { run } from "../../scripts/lib/command.ts";
import { compareSnapshots, snapshot } from "../../scripts/lib/machine-snapshot.ts";

const demo = new URL("../../scripts/demo", import.meta.url).pathname;

describe("scripts/demo --once", function () {
  this.timeout(180_000);

  it("leaves the machine as it found it", async function () {
    if (!existsSync(demo)) this.skip();
    const before = await snapshot();
    // Its own engine and server, not those of this test run.
    await run(demo, ["--once"], { env: { ...process.env, DOCKER_HOST: "", MONGO_URI: "", DOCKER_IS_PRIVATE: "" } });
    // An orphan that has just ended is a zombie until the machine's init gets to it.
    let left: string[] = [];
    for (let attempt = 0; attempt < 20; attempt++) {
      left = compareSnapshots(before, await snapshot());
      if (left.length === 0) break;
      await sleep(250);
    }
    expect(left).to.deep.equal([]);
  });
});
