import { expect } from "chai";
import { NameHeldError } from "../../../src/core/errors.ts";
import type { StatusRecord } from "../../../src/core/records.ts";
import { bot } from "../../support/builders.ts";
import { aDocument, fakeEngine, Fleet } from "../../support/fleet.ts";

describe("worker: a name that the Engine does not let go", () => {
  let fleet: Fleet;
  /** When each create was asked for. */
  let asked: number[];
  let stuck: string[];
  /** So many creates of bot "a" are refused. */
  let held: number;
  const status = (id: string): StatusRecord | undefined => fleet.store.get<StatusRecord>("status", id);

  beforeEach(() => {
    fleet = new Fleet(fakeEngine);
    asked = [];
    stuck = [];
    held = Infinity;
    fleet.bus.on("bot:name-held", ({ bot: id }) => stuck.push(id));
    const create = fleet.engine.create.bind(fleet.engine);
    fleet.engine.create = async (order) => {
      if (order.bot !== "a") return create(order);
      asked.push(fleet.clock.mono());
      if (asked.length > held) return create(order);
      throw new NameHeldError("Cannot create: the name is held");
    };
  });
  afterEach(() => fleet.end());

  it("asks less and less often, starts other bots meanwhile, and counts no crash", async () => {
    await fleet.start(aDocument("a"));
    fleet.store.putBot(aDocument("b"));
    await fleet.clock.advance(120_000);
    const waits = asked.slice(1, 8).map((at, n) => at - (asked[n] ?? 0));
    expect(waits).to.deep.equal([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    expect(status("a")).to.include({ state: "backoff", attempt: 0, restarts: 0 });
    expect(fleet.engine.running()).to.deep.equal(["b"]);
  });

  it("says what it waits for at once, and after a minute what to do, with one line in the log", async () => {
    await fleet.start(aDocument("a"));
    expect(status("a")).to.include({ state: "backoff", message: "Cannot create: the name is held" });
    await fleet.clock.advance(56_000);
    expect([status("a")?.message.includes("restart the Docker daemon"), stuck]).to.deep.equal([false, []]);
    await fleet.clock.advance(600_000);
    expect(status("a")?.message).to.match(/^Cannot create: the name is held.*: restart the Docker daemon$/);
    expect(stuck).to.deep.equal(["a"]);
  });

  it("starts as soon as the name is free, and has forgotten it then", async () => {
    held = 3;
    await fleet.start(aDocument("a"));
    await fleet.clock.advance(10_000);
    expect([fleet.engine.running(), status("a")?.state, status("a")?.message]).to.deep.equal([["a"], "running", ""]);
    held = asked.length + 1;
    fleet.engine.vanish(bot("a"));
    await fleet.clock.advance(60_000);
    expect([fleet.engine.running(), stuck]).to.deep.equal([["a"], []]);
  });

  it("looks every 100 ms at a container in removal, after 10 s every 5 s, and says so after a minute", async () => {
    held = 0;
    await fleet.start(aDocument("a"));
    const looks: number[] = [];
    const inspect = fleet.engine.inspect.bind(fleet.engine);
    const began = fleet.clock.mono();
    fleet.engine.inspect = async (id) => {
      looks.push(fleet.clock.mono() - began);
      const actual = await inspect(id);
      return actual.kind === "ours" ? { kind: "ours", container: { ...actual.container, state: "removing" } } : actual;
    };
    fleet.engine.exit(bot("a"), 1); // a hint
    await fleet.clock.advance(9_900);
    expect(looks.length).to.be.within(99, 103);
    looks.length = 0;
    await fleet.clock.advance(60_200);
    expect(looks.length).to.be.within(11, 26);
    expect(stuck).to.deep.equal(["a"]);
    expect(status("a")?.message).to.match(/removal.*: restart the Docker daemon$/);
    fleet.engine.inspect = inspect;
    fleet.engine.vanish(bot("a"));
    await fleet.clock.advance(6_000);
    expect([fleet.engine.running(), status("a")?.state]).to.deep.equal([["a"], "running"]);
  });

  it("says once that a stranger holds the name", async () => {
    let told = 0;
    fleet.bus.on("bot:name-taken", () => told++);
    fleet.engine.occupy(bot("a"));
    await fleet.start(aDocument("a"));
    await fleet.clock.advance(300_000);
    expect(told).to.equal(1);
  });
});
