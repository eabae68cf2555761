import { expect } from "chai";

import { run } from "../../scripts/lib/command.ts";

const isProvided = process.env.DOCKER_HOST !== undefined && process.env.MONGO_URI !== undefined;
/** Begun when mocha reads this file, beside the contract suites: it spends its minute waiting, and has parts of its own,
 *  for what happens to them must not happen to the other tests'. It is over before a test compares the whole machine. */
const chaos = isProvided
  ? run(process.execPath, ["scripts/chaos.ts", "--minutes", "1"], { env: { ...process.env, DOCKER_HOST: "", MONGO_URI: "" } })
  : undefined;
chaos?.catch(() => {}); // the test looks at it when its turn comes

describe("chaos", function () {
  this.timeout(300_000);

  it("leaves every bot as its document says after a minute of random faults", async function () {
    if (chaos === undefined) this.skip();
    expect(await chaos).to.include("desired = actual");
  });
});
