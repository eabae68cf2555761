import { expect } from "chai";
import { openCache } from "../../scripts/lib/cache.ts";
import { relayMongo } from "../../scripts/lib/mongo-relay.ts";
import { startPrivateMongo } from "../../scripts/lib/private-mongo.ts";
import { openRun } from "../../scripts/lib/run-dir.ts";
import { eventually } from "../support/eventually.ts";
import { type Keyed, TestRuntime } from "../support/runtime.ts";

const aBot = (id: string): Keyed => ({ _id: id, image: "bot-runner/demo-bot:1", command: ["sleep", "600"], stopGraceSeconds: 0 });

describe("system: MongoDB away", function () {
  this.timeout(120_000);
  const closers: (() => Promise<void>)[] = [];

  before(function () {
    if (process.env.DOCKER_HOST === undefined || process.env.MONGO_URI === undefined) this.skip();
  });
  afterEach(async () => {
    for (const close of closers.splice(0).toReversed()) await close();
  });

  it("keeps bots running and restarts the crashed; what is new waits until it is back; each told once", async () => {
    const run = await openRun();
    closers.push(run.remove);
    const server = await startPrivateMongo({ runDir: run.dir, cacheDir: await openCache(process.env), say: () => {} });
    closers.push(server.stop);
    const relay = await relayMongo(server.port, () => ({}));
    closers.push(relay.stop);
    // The operator's own way to MongoDB stays open.
    const runtime = new TestRuntime({ MONGO_URI: `mongodb://127.0.0.1:${relay.port}/?directConnection=true` }, server.uri);
    closers.push(() => runtime.dispose());
    const told = (message: string): number => runtime.lines.filter((l) => l.message === message && l.store === "mongodb").length;
    const running = async (id: string): Promise<string | undefined> =>
      (await runtime.containers(id)).find((c) => c.State === "running")?.Id;

    await runtime.bots.insertMany([aBot("steady"), aBot("fragile")]);
    await runtime.start();
    for (const id of ["steady", "fragile"]) await runtime.until(id, "running");
    const [steady, fragile = ""] = [await running("steady"), await running("fragile")];

    await relay.goAway();
    await eventually("it has noticed", async () => told("Lost touch: bots run on, changes wait") > 0);
    await runtime.bots.insertOne(aBot("late"));
    await runtime.docker.getContainer(fragile).kill();
    await eventually("the crashed bot runs again", async () => ![undefined, fragile].includes(await running("fragile")));
    expect([await running("steady"), await runtime.containers("late")]).to.deep.equal([steady, []]);

    await relay.comeBack();
    await runtime.until("late", "running");
    await eventually("the crash is told", async () => (await runtime.status("fragile"))?.restarts === 1);
    expect(await running("steady")).to.equal(steady);
    expect([told("Lost touch: bots run on, changes wait"), told("In touch again")]).to.deep.equal([1, 1]);
    expect(await runtime.stop()).to.equal(0);
  });
});
