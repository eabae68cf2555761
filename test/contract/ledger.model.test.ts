import { expect } from "chai";
import { StoreUnreachableError } from "../../src/core/errors.ts";
import { nextTerm } from "../../src/core/operations.ts";
import type { Hint } from "../../src/core/ledger.ts";
import { ModelStore } from "../support/model-store.ts";
import { rejection } from "./engine.suite.ts";
import { ledgerContract } from "./ledger.suite.ts";

describe("Ledger contract: model", () => {
  let store: ModelStore;
  beforeEach(() => {
    store = new ModelStore();
  });

  ledgerContract(() => ({
    store,
    putBots: async (documents) => documents.forEach((document) => store.putBot(document)),
    put: async (collection, record) => store.put(collection, record),
    get: async (collection, id) => store.get(collection, id),
    runs: async () => [...store.runs.values()],
    fleetView: async () => store.published,
    openStreams: async () => store.openStreams,
  }));

  it("lands a write whose reply it loses, and does nothing in one that it fails", async () => {
    store.put("control", { _id: "leader", term: 1 });
    store.failNext("apply");
    expect(await rejection(store.apply(nextTerm(1)))).to.be.instanceOf(StoreUnreachableError);
    expect(await store.leaderTerm()).to.equal(1);
    store.loseReply("apply");
    expect(await rejection(store.apply(nextTerm(1)))).to.be.instanceOf(StoreUnreachableError);
    expect(await store.leaderTerm()).to.equal(2);
  });

  it("answers nothing while it is away, and breaks streams half-way", async () => {
    store.putBot({ _id: "a" });
    store.putBot({ _id: "b" });
    const read = async (): Promise<void> => {
      for await (const _ of store.stringBots(new AbortController().signal)) store.goAway();
    };
    expect(await rejection(read())).to.be.instanceOf(StoreUnreachableError);
    expect(await rejection(store.workers())).to.be.instanceOf(StoreUnreachableError);
    store.comeBack();
    expect(await store.workers()).to.deep.equal([]);
  });

  it("hints at each change, at everything after an outage, and not after the end", async () => {
    const hints: Hint[] = [];
    const end = new AbortController();
    const watching = store.watch("bots", (hint) => hints.push(hint), end.signal);
    store.putBot({ _id: "a" });
    store.putBot({ _id: 5 });
    store.put("placements", { _id: "a" });
    store.goAway();
    store.putBot({ _id: "b" });
    store.comeBack();
    end.abort();
    await watching;
    store.putBot({ _id: "c" });
    expect(hints).to.deep.equal([{ kind: "all" }, { kind: "some", ids: ["a"] }, { kind: "unusable" }, { kind: "all" }]);
    expect(store.watching).to.equal(0);
  });
});
