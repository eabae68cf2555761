import { expect } from "chai";
import { ApiClient } from "../../../src/kubernetes/client.ts";
import type { RawObject } from "../../../src/kubernetes/objects.ts";
import { WatchedList } from "../../../src/kubernetes/watched-list.ts";
import { systemClock } from "../../../src/process/clock.ts";
import { eventually } from "../../support/eventually.ts";
import { FakeApi } from "../../support/fake-api.ts";

const WATCH = /watch=true/;
const LIST = /leases\?limit/;

describe("kubernetes: WatchedList", () => {
  let api: FakeApi;
  let client: ApiClient;
  let end: AbortController;
  let list: WatchedList<string>;
  let running: Promise<void>;
  let faults: unknown[];
  let changes: number;

  /** Waits are short here, and yet are waits. */
  const clock = { ...systemClock, sleep: (ms: number, signal: AbortSignal) => systemClock.sleep(ms / 50, signal) };
  const begin = (idleMs?: number): void => {
    list = new WatchedList({
      client,
      clock,
      random: () => 0.5,
      what: "leases",
      path: "/apis/coordination.k8s.io/v1/namespaces/ns/leases",
      pick: (raw: RawObject) => raw.metadata?.labels?.["x"],
      onChange: () => void changes++,
      onFault: (error) => faults.push(error),
      ...(idleMs !== undefined && { idleMs }),
    });
    running = list.run(end.signal);
  };
  const put = (name: string, x: string): unknown => api.put("leases", { metadata: { name, labels: { x } } });
  const settled = (gives: Record<string, string>): Promise<unknown> =>
    eventually(
      `the copy is ${JSON.stringify(gives)}`,
      async () => list.isFresh && JSON.stringify(Object.fromEntries(list.items)) === JSON.stringify(gives),
      8_000,
      async () => `${list.isFresh} ${JSON.stringify([...list.items])}`,
    );
  const count = (match: RegExp): number => api.asked.filter(({ method, path }) => match.test(`${method} ${path}`)).length;
  const watching = (): Promise<unknown> => eventually("a stream is open", async () => api.openStreams === 1);

  beforeEach(async () => {
    api = new FakeApi();
    await api.start();
    client = new ApiClient(api.access);
    end = new AbortController();
    faults = [];
    changes = 0;
    put("a", "1");
  });
  afterEach(async () => {
    end.abort();
    await running;
    client.close();
    await api.stop();
  });

  it("lists once and follows what comes, changes and goes", async () => {
    begin();
    expect(list.isFresh).to.equal(false);
    await settled({ a: "1" });
    await watching();
    put("b", "1");
    put("a", "2");
    await settled({ a: "2", b: "1" });
    api.remove("leases", "a");
    await settled({ b: "1" });
    api.put("leases", { metadata: { name: "b" } }); // none of ours any more
    await settled({});
    expect([count(LIST), count(WATCH)]).to.deep.equal([1, 1]);
    expect(changes).to.be.greaterThan(3);
  });

  for (const how of ["end", "break"] as const) {
    it(`goes on from the last version, bookmarks counted, after a stream's ${how}`, async () => {
      begin();
      await settled({ a: "1" });
      await watching();
      put("a", "2");
      await settled({ a: "2" });
      const before = Number(new URL(api.asked.at(-1)?.path ?? "", "http://x").searchParams.get("resourceVersion"));
      // A broken connection may lose what was under way; an end in order comes after the bookmark.
      if (how === "end") api.bookmark();
      api.endStreams(how);
      await eventually("the next stream", async () => count(WATCH) === 2);
      put("b", "1");
      await settled({ a: "2", b: "1" });
      expect(count(LIST)).to.equal(1);
      const last = Number(new URL(api.asked.at(-1)?.path ?? "", "http://x").searchParams.get("resourceVersion"));
      expect(last - before).to.equal(how === "end" ? 2 : 1);
    });
  }

  it("is not fresh while the server is away, keeps what it knew, and comes back", async () => {
    begin();
    await settled({ a: "1" });
    await watching();
    const { port } = api;
    await api.stop();
    await eventually("it is stale", async () => !list.isFresh);
    expect(list.items.get("a")).to.equal("1");
    await eventually("it has tried", async () => faults.length > 2);
    put("a", "3");
    await api.start(port);
    await settled({ a: "3" });
  });

  it("lists again after a 410, in the stream and as a status", async () => {
    begin();
    await settled({ a: "1" });
    await watching();
    api.compact();
    await eventually("the second list", async () => count(LIST) === 2);
    await watching();
    api.failNext(WATCH, { kind: "status", status: 410 });
    api.endStreams("end");
    await eventually("the third list", async () => count(LIST) === 3);
    await settled({ a: "1" });
    expect(faults).to.deep.equal([]);
  });

  for (const { why, match, fault } of [
    { why: "a list that fails", match: LIST, fault: { kind: "status", status: 500 } },
    { why: "a list that is refused", match: LIST, fault: { kind: "status", status: 403 } },
    { why: "a list that is broken off", match: LIST, fault: { kind: "cut" } },
    { why: "a watch that fails", match: WATCH, fault: { kind: "status", status: 500 } },
    { why: "a watch that is told to wait", match: WATCH, fault: { kind: "status", status: 429, headers: { "retry-after": "1" } } },
  ] as const) {
    it(`tries again after ${why}`, async () => {
      api.failNext(match, fault, 2);
      begin();
      await eventually("two faults", async () => faults.length === 2);
      await watching();
      await settled({ a: "1" });
    });
  }

  it("gives up a stream that stops in the middle of an event, which comes again", async () => {
    api.failNext(WATCH, { kind: "stall" });
    begin(100);
    await eventually("the fault", async () => faults.length === 1);
    put("b", "1");
    await settled({ a: "1", b: "1" });
    expect(count(LIST)).to.equal(1);
  });

  it("gives up a stream that brings nothing, and one that bookmarks keep alive it keeps", async () => {
    begin(1_000);
    await settled({ a: "1" });
    await watching();
    for (let i = 0; i < 8; i++) {
      await systemClock.sleep(200, end.signal);
      api.bookmark();
    }
    expect(count(WATCH)).to.equal(1);
    await eventually("a new stream", async () => count(WATCH) > 1);
  });

  it("lists again when it is proven to be behind", async () => {
    begin();
    await settled({ a: "1" });
    await watching();
    list.distrust();
    expect(list.isFresh).to.equal(false);
    await settled({ a: "1" });
    expect(count(LIST)).to.equal(2);
  });

  it("ends with its signal, its streams too", async () => {
    begin();
    await settled({ a: "1" });
    await watching();
    end.abort();
    await running;
    await eventually("no stream is open", async () => api.openStreams === 0);
    expect(list.isFresh).to.equal(false);
  });
});
