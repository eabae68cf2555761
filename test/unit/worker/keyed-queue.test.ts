import { expect } from "chai";
import { at } from "../../support/builders.ts";
import { KeyedQueue } from "../../../src/worker/keyed-queue.ts";
import { FakeClock, settle } from "../../support/fake-clock.ts";

describe("worker/keyed-queue", () => {
  let clock: FakeClock;
  let end: AbortController;
  let begun: string[];
  let finish: Map<string, () => void>;
  let look: () => void;
  let queue: KeyedQueue<string>;
  let running: Promise<void>;

  beforeEach(() => {
    clock = new FakeClock();
    end = new AbortController();
    begun = [];
    finish = new Map();
    queue = new KeyedQueue<string>(clock, (key, looking) => {
      look = looking;
      begun.push(`${key}@${clock.mono()}`);
      return new Promise((resolve) => finish.set(key, resolve));
    });
    running = queue.run(end.signal);
  });
  afterEach(async () => {
    end.abort();
    for (const done of finish.values()) done();
    await running;
  });

  it("visits different keys side by side and one key one at a time", async () => {
    queue.request("a");
    queue.request("b");
    await settle();
    queue.request("a");
    await settle();
    expect(begun).to.deep.equal(["a@0", "b@0"]);
    expect([...queue.visiting()]).to.deep.equal(["a", "b"]);
    finish.get("a")?.();
    await settle();
    expect(begun).to.deep.equal(["a@0", "b@0", "a@0"]);
  });

  it("follows any number of requests during a visit by one visit", async () => {
    queue.request("a");
    await settle();
    for (let i = 0; i < 5; i++) queue.request("a");
    finish.get("a")?.();
    await settle();
    finish.get("a")?.();
    await settle();
    expect(begun).to.deep.equal(["a@0", "a@0"]);
    expect([...queue.visiting()]).to.deep.equal([]);
  });

  it("serves a request by a visit that looks afresh after it, and one that comes after the look by another visit", async () => {
    queue.request("a");
    await settle();
    queue.request("a");
    look();
    finish.get("a")?.();
    await settle();
    expect(begun).to.deep.equal(["a@0"]);
    queue.request("a");
    await settle();
    look();
    queue.request("a");
    finish.get("a")?.();
    await settle();
    expect(begun).to.deep.equal(["a@0", "a@0", "a@0"]);
  });

  it("waits for a later time, and for the earliest of several", async () => {
    queue.request("a", at(500));
    queue.request("a", at(300));
    queue.request("a", at(900));
    await clock.advance(299);
    expect(begun).to.deep.equal([]);
    await clock.advance(1);
    expect(begun).to.deep.equal(["a@300"]);
  });

  it("keeps a time asked for during a visit", async () => {
    queue.request("a");
    await settle();
    queue.request("a", at(100));
    finish.get("a")?.();
    await clock.advance(100);
    expect(begun).to.deep.equal(["a@0", "a@100"]);
  });

  it("ends only when the visits under way have ended", async () => {
    queue.request("a");
    await settle();
    end.abort();
    let over = false;
    void running.then(() => (over = true));
    await settle();
    expect(over).to.equal(false);
    finish.get("a")?.();
    await settle();
    expect(over).to.equal(true);
  });
});
