import { expect } from "chai";
import type { Hint, Watched } from "../../../src/core/ledger.ts";
import { SharedFeed, type WholeFeed } from "../../../src/mongo/shared-feed.ts";

type Watch = { readonly onHint: (what: Watched, hint: Hint) => void; readonly fail: (error: Error) => void; ended: boolean };

/** Records each watch; a test speaks for the server. */
class ToldFeed implements WholeFeed {
  readonly watches: Watch[] = [];
  async watch(onHint: (what: Watched, hint: Hint) => void, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const mine: Watch = { onHint, fail: reject, ended: false };
    this.watches.push(mine);
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise.finally(() => (mine.ended = true));
  }
}

const all: Hint = { kind: "all" };
const some = (...ids: string[]): Hint => ({ kind: "some", ids });
const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

describe("mongo/shared-feed SharedFeed", () => {
  let told: ToldFeed;
  let feed: SharedFeed;
  beforeEach(() => {
    told = new ToldFeed();
    feed = new SharedFeed(told);
  });

  function listen(what: Watched = "bots") {
    const hints: Hint[] = [];
    const end = new AbortController();
    const watching = feed.watch(what, (hint) => hints.push(hint), end.signal);
    return { hints, end, watching };
  }

  it("opens one watch for all, and gives each who listens the hints of his kind", async () => {
    const [leader, worker, other] = [listen(), listen(), listen("segments")];
    await turn();
    expect(told.watches).to.have.lengthOf(1);
    for (const hint of [all, some("a"), some("b")]) told.watches[0]?.onHint("bots", hint);
    told.watches[0]?.onHint("placements", some("c"));
    expect([leader.hints, worker.hints, other.hints]).to.deep.equal([[all, some("a"), some("b")], [all, some("a"), some("b")], []]);
  });

  it("tells who comes first for a kind that was looked at before him to look at everything", async () => {
    listen();
    await turn();
    told.watches[0]?.onHint("segments", all);
    const late = listen("segments");
    const early = listen("placements");
    told.watches[0]?.onHint("placements", all);
    expect([late.hints, early.hints, told.watches.length]).to.deep.equal([[all], [all], 1]);
  });

  it("tells who comes later to look at everything, and him alone", async () => {
    const first = listen();
    await turn();
    const early = listen(); // before the first look: it is for both
    told.watches[0]?.onHint("bots", all);
    const late = listen();
    told.watches[0]?.onHint("bots", some("a"));
    await turn();
    expect([first.hints, early.hints, late.hints]).to.deep.equal([
      [all, some("a")],
      [all, some("a")],
      [all, some("a")],
    ]);
    expect(told.watches).to.have.lengthOf(1);
  });

  it("goes on for who stays, and ends with the last one", async () => {
    const [one, two] = [listen(), listen("segments")];
    await turn();
    one.end.abort();
    await one.watching;
    told.watches[0]?.onHint("bots", all);
    told.watches[0]?.onHint("segments", all);
    expect([one.hints, two.hints, told.watches[0]?.ended]).to.deep.equal([[], [all], false]);
    two.end.abort();
    await two.watching;
    expect(told.watches[0]?.ended).to.equal(true);
    const next = listen();
    await turn();
    expect([told.watches.length, next.hints]).to.deep.equal([2, []]);
  });

  it("ends for all who listen at a fault that is not the connection's, and can begin anew", async () => {
    const [one, two] = [listen(), listen()];
    await turn();
    const bug = new TypeError("x");
    told.watches[0]?.fail(bug);
    const ends = await Promise.allSettled([one.watching, two.watching]);
    expect(ends.map((end) => end.status === "rejected" && end.reason === bug)).to.deep.equal([true, true]);
    listen();
    await turn();
    expect(told.watches).to.have.lengthOf(2);
  });

  it("watches nothing for who was told to leave before", async () => {
    await feed.watch("bots", () => {}, AbortSignal.abort());
    await turn();
    expect(told.watches).to.deep.equal([]);
  });
});
