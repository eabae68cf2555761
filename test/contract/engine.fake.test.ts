import { expect } from "chai";
import { EngineUnreachableError } from "../../src/core/errors.ts";
import { systemClock } from "../../src/process/clock.ts";
import { bot } from "../support/builders.ts";
import { FakeEngine } from "../support/fake-engine.ts";
import { engineContract, fakeProgramOf, order, ours, rejection } from "./engine.suite.ts";

describe("Engine contract: fake", () => {
  let engine: FakeEngine;
  beforeEach(() => {
    engine = new FakeEngine({ clock: systemClock, programOf: fakeProgramOf });
    engine.registry = (image) => (image.startsWith("bot-runner/none") ? "missing" : "found");
  });

  engineContract(() => ({ engine, occupy: async (id) => engine.occupy(id) }));

  it("pulls once for all who ask at a time", async () => {
    const { signal } = new AbortController();
    await Promise.all([1, 2, 3].map(() => engine.ensureImage("bot-runner/other:1", "if-not-present", signal)));
    await engine.ensureImage("bot-runner/other:1", "if-not-present", signal);
    expect(engine.pulls).to.deep.equal(["bot-runner/other:1"]);
  });

  it("lands a call whose reply it loses, and does nothing in one that it fails", async () => {
    engine.failNext("create");
    expect(await rejection(engine.create(order("a", "true")))).to.be.instanceOf(EngineUnreachableError);
    expect(await engine.inspect(bot("a"))).to.deep.equal({ kind: "none" });
    engine.loseReply("create");
    expect(await rejection(engine.create(order("a", "true")))).to.be.instanceOf(EngineUnreachableError);
    expect(ours(await engine.inspect(bot("a"))).state).to.equal("created");
  });
});
