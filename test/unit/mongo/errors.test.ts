import { expect } from "chai";
import { MongoBulkWriteError, MongoError, MongoNetworkError, MongoNetworkTimeoutError, MongoParseError, MongoServerError } from "mongodb";
import { StoreUnreachableError } from "../../../src/core/errors.ts";
import { asStoreError, isDuplicateKey, refusesChangeStreams } from "../../../src/mongo/errors.ts";
import { Guard } from "../../../src/mongo/guard.ts";

const server = (code: number, labels: string[] = []): MongoServerError =>
  new MongoServerError({ code, errmsg: "said so", errorLabels: labels });
/** As the driver tells a fault that met a whole bulk. */
const bulk = (error: MongoError): MongoBulkWriteError => new MongoBulkWriteError(error, {} as never);
const named = (name: string): MongoError => Object.defineProperty(new MongoError("late"), "name", { value: name });
const never = new AbortController().signal;

const silence = (): Promise<never> => new Promise(() => {});
const fault = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe("mongo: faults", () => {
  for (const { why, error, passes } of [
    { why: "a broken connection", error: new MongoNetworkError("reset"), passes: true },
    { why: "a silent connection", error: new MongoNetworkTimeoutError("late"), passes: true },
    { why: "a primary that steps down", error: server(189), passes: true },
    { why: "a majority that did not answer", error: server(64), passes: true },
    { why: "a cursor that was lost in an election", error: server(43), passes: true },
    { why: "a full disk", error: server(14_031), passes: true },
    { why: "a code that the server calls retryable", error: server(1, ["RetryableWriteError"]), passes: true },
    { why: "a bulk that got no connection", error: bulk(named("MongoWaitQueueTimeoutError")), passes: true },
    { why: "a bulk that the user may not write", error: bulk(server(13)), passes: false },
    { why: "a right that is missing", error: server(13), passes: false },
    { why: "a duplicate key", error: server(11_000), passes: false },
    { why: "a query that is wrong", error: server(2), passes: false },
    { why: "an option that is wrong", error: new MongoParseError("x"), passes: false },
    { why: "a bug of ours", error: new TypeError("x"), passes: false },
  ]) {
    it(`${passes ? "passes" : "stays as it is"}: ${why}`, () => {
      const told = asStoreError(error, "read bots");
      if (!passes) expect(told).to.equal(error);
      else
        expect(told).to.be.instanceOf(StoreUnreachableError).and.to.include({ message: "Cannot reach MongoDB to read bots", cause: error });
    });
  }

  it("knows a duplicate key", () => {
    expect([isDuplicateKey(server(11_000)), isDuplicateKey(server(2)), isDuplicateKey(undefined)]).to.deep.equal([true, false, false]);
  });

  for (const { why, error, refuses } of [
    { why: "a server that stands alone", error: server(40_573), refuses: true },
    { why: "a server that does not know the stage", error: server(40_324), refuses: true },
    { why: "a user who may not watch", error: server(13), refuses: true },
    { why: "a history that was lost", error: server(286), refuses: false },
    { why: "an election", error: server(11_602), refuses: false },
    { why: "a broken connection", error: new MongoNetworkError("reset"), refuses: false },
  ]) {
    it(`${refuses ? "polls" : "opens a new stream"}: ${why}`, () => {
      expect(refusesChangeStreams(error)).to.equal(refuses);
    });
  }
});

describe("mongo: Guard", () => {
  const guard = new Guard(20);

  it("ends a call that gets no answer", async () => {
    const error = await fault(guard.call("read bots", silence));
    expect(error).to.be.instanceOf(StoreUnreachableError);
    expect((error as Error).message).to.equal("Cannot reach MongoDB to read bots: no answer within 20 ms");
  });

  it("ends a stream that gets no answer, and closes its cursor", async () => {
    let closed = 0;
    const cursor = { next: silence, readBufferedDocuments: () => [], close: async () => void closed++ };
    expect(await fault(guard.stream("read bots", cursor, never).next())).to.be.instanceOf(StoreUnreachableError);
    expect(closed).to.equal(1);
  });

  it("asks once for each reply, and takes what came with it from the cursor, in order and one at a time", async () => {
    const replies = [["a", "b", "c"], ["d"]];
    let here: string[] = [];
    let asked = 0;
    const taken: number[] = [];
    const cursor = {
      next: async (): Promise<string | null> => {
        asked += 1;
        here = replies.shift() ?? [];
        return here.shift() ?? null;
      },
      readBufferedDocuments: (count: number): string[] => {
        taken.push(count);
        return here.splice(0, count);
      },
      close: async () => {},
    };
    expect(await Array.fromAsync(guard.stream("read bots", cursor, never))).to.deep.equal(["a", "b", "c", "d"]);
    expect([asked, new Set(taken)]).to.deep.equal([3, new Set([1])]);
  });

  it("stops at an abort though more is here already", async () => {
    const end = new AbortController();
    const cursor = { next: silence, readBufferedDocuments: () => ["a"], close: async () => {} };
    const read = async (): Promise<void> => {
      for await (const _ of guard.stream("read bots", cursor, end.signal)) end.abort(new Error("enough"));
    };
    expect(await fault(read())).to.equal(end.signal.reason);
  });

  it("gives the reason of an abort rather than the cursor's complaint", async () => {
    const end = new AbortController();
    const reason = new Error("enough");
    const cursor = {
      next: async (): Promise<never> => {
        end.abort(reason);
        throw new MongoNetworkError("closed");
      },
      readBufferedDocuments: () => [],
      close: async () => {},
    };
    expect(await fault(guard.stream("read bots", cursor, end.signal).next())).to.equal(reason);
  });

  it("leaves the driver's stages less time than the whole call", () => {
    expect(new Guard(10_000).stageMs).to.equal(8_000);
  });
});
