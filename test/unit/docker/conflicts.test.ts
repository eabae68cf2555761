import { expect } from "chai";
import { type EngineRefusedError, EngineUnreachableError } from "../../../src/core/errors.ts";
import { containerName } from "../../../src/core/ids.ts";
import { anOrder, bot } from "../../support/builders.ts";
import type { Box } from "../../support/fake-daemon.ts";
import { CREATE, fakeWorld, START } from "../../support/fake-world.ts";
import { aDocument } from "../../support/fleet.ts";

describe("a worker on a daemon that refuses with 409", function () {
  this.timeout(60_000);

  it("one of two creates at a time gets the name", async () => {
    await using w = await fakeWorld();
    const ends = await Promise.allSettled([1, 2].map(() => w.fleet.engine.create(anOrder("a"))));
    const refused = ends.flatMap((end) => (end.status === "rejected" ? [(end.reason as EngineRefusedError).status] : []));
    expect([refused, w.daemon.boxes.size]).to.deep.equal([[409], 1]);
  });

  it("a stranger has the name: the bot waits and says so, until the stranger is gone", async () => {
    await using w = await fakeWorld();
    const stranger: Box = { id: "s", name: containerName(bot("a")), labels: {}, imageId: "", state: "running" };
    w.daemon.boxes.set("s", stranger);
    await w.fleet.start(aDocument("a"));
    await w.until("it says so", () => w.status("a")?.message.includes("not ours") === true);
    w.daemon.boxes.delete("s");
    await w.untilRuns("a");
    expect(stranger.state).to.equal("running");
  });

  it("nothing has the name: a few tries a minute, then a word to the operator, then a start once it is free", async () => {
    await using w = await fakeWorld();
    w.daemon.leaked.add(containerName(bot("a")));
    await w.fleet.start(aDocument("a"));
    await w.until("it asks for help", () => w.status("a")?.message.endsWith("restart the Docker daemon") === true);
    expect(w.status("a")?.state).to.equal("backoff");
    expect(w.count(CREATE)).to.be.within(10, 80); // five a try
    w.daemon.leaked.clear();
    await w.untilRuns("a");
    expect(w.status("a")?.message).to.equal("");
  });

  it("a removal is under way: a second one waits for its end", async () => {
    await using w = await fakeWorld();
    await w.fleet.engine.create(anOrder("a"));
    const box = w.box("a");
    const container = (await w.fleet.engine.list())[0];
    if (container === undefined) throw new Error("expected a container");
    box.state = "removing";
    let isDone = false;
    const removed = w.fleet.engine.remove(container).then(() => (isDone = true));
    await w.pass(2_000);
    expect(isDone).to.equal(false);
    w.daemon.boxes.delete(box.id);
    await removed;
  });

  it("a removal never ends: that is said, and nothing waits for ever", async () => {
    await using w = await fakeWorld();
    await w.fleet.engine.create(anOrder("a"));
    const [container] = await w.fleet.engine.list();
    w.box("a").state = "removing";
    const error: unknown = await w.fleet.engine.remove(container!).catch((fault: unknown) => fault);
    expect(error)
      .to.be.instanceOf(EngineUnreachableError)
      .with.property("message")
      .that.matches(/does not end/);
  });

  it("a container is removed before its start: the bot gets another", async () => {
    await using w = await fakeWorld();
    w.daemon.onRequest = (request) => {
      if (START.test(request) && w.count(START) === 1) w.box("a").state = "removing";
    };
    await w.fleet.start(aDocument("a"));
    await w.until("the refused start", () => w.count(START) === 1);
    await w.pass(1_000);
    w.daemon.boxes.clear();
    await w.untilRuns("a");
    expect([w.daemon.started.length, w.runs().length]).to.deep.equal([1, 0]);
  });

  it("what is killed runs no more: success", async () => {
    await using w = await fakeWorld();
    const id = await w.fleet.engine.create(anOrder("a"));
    await w.fleet.engine.stop(id, 0);
    await w.fleet.engine.start(id);
    await w.fleet.engine.start(id); // 304
    await w.fleet.engine.stop(id, 1);
    await w.fleet.engine.stop(id, 1); // 304
    expect(w.box("a").state).to.equal("exited");
  });
});
