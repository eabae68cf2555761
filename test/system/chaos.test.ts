import { expect } from "chai";

import { run } from "../../scripts/lib/command.ts";

describe("chaos", function () {
  this.timeout(300_000);

  it("leaves every bot as its document says after a minute of random faults", async function () {
    if (process.env.DOCKER_HOST === undefined || process.env.MONGO_URI === undefined) this.skip();
    // Parts of its own: what happens to them must not happen to the other tests'.
    const out = await run(process.execPath, ["scripts/chaos.ts", "--minutes", "1"], {
      env: { ...process.env, DOCKER_HOST: "", MONGO_URI: "" },
    });
    expect(out).to.include("desired = actual");
  });
});
