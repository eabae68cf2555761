import { expect } from "chai";
import { StoreUnreachableError } from "../../src/core/errors.ts";
import type { Hint } from "../../src/core/ledger.ts";
import { renewSession } from "../../src/core/operations.ts";
import { aSegment, aWorker, bot, sid } from "../support/builders.ts";
import { FakeStore } from "../support/fake-store.ts";
import { runsContract, storeContract, string, type Subject } from "./store.suite.ts";

describe("Store contract: fake", () => {
  let store: FakeStore;
  const subject = (): Subject => ({
    store,
    putBots: async (bots) => {
      for (const { raw, document } of bots) store.putBot(raw, document);
    },
  });
  beforeEach(() => {
    store = new FakeStore();
  });

  storeContract(subject);
  runsContract(() => ({
    ...subject(),
    runIds: async (id) => {
      const mine = store.rows("runs").filter((run) => run["bot"] === id);
      return mine
        .sort((a, b) => (b["ended"] as Date).getTime() - (a["ended"] as Date).getTime())
        .map(({ _id }) => JSON.stringify(_id).slice(1, -1));
    },
  }));

  it("does nothing in a call that it fails, and all of one whose reply it loses", async () => {
    await store.insert("workers", aWorker("s1"));
    const renew = (): Promise<unknown> => store.apply(renewSession(sid("s1"), 1)).catch((error: unknown) => error);
    store.failNext("apply");
    expect(await renew()).to.be.instanceOf(StoreUnreachableError);
    expect(store.rows("workers")[0]?.["hbSeq"]).to.equal(0);
    store.loseReply("apply");
    expect(await renew()).to.be.instanceOf(StoreUnreachableError);
    expect(store.rows("workers")[0]?.["hbSeq"]).to.equal(1);
    store.away = true;
    expect(await renew()).to.be.instanceOf(StoreUnreachableError);
    store.away = false;
    expect(await renew()).to.equal("won");
  });

  it("hints at what changed until the watch ends", async () => {
    const end = new AbortController();
    const [bots, segments]: [Hint[], Hint[]] = [[], []];
    const watching = [
      store.watch("bots", (hint) => bots.push(hint), end.signal),
      store.watch("segments", (hint) => segments.push(hint), end.signal),
    ];
    store.putBot(string("a"));
    store.putBot({ kind: "other", text: "5" });
    store.deleteBot(string("a"));
    store.deleteBot(string("never there"));
    await store.insert("segments", aSegment(3));
    end.abort();
    await Promise.all(watching);
    store.putBot(string("b"));
    expect(bots).to.deep.equal([
      { kind: "all" },
      { kind: "some", ids: [bot("a")] },
      { kind: "unusable" },
      { kind: "some", ids: [bot("a")] },
    ]);
    expect(segments).to.deep.equal([{ kind: "all" }, { kind: "some", ids: ["3"] }]);
  });
});
