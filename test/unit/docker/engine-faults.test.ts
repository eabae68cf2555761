import { expect } from "chai";
import { ConfigurationError, EngineRefusedError, EngineUnreachableError, ImageUnavailableError } from "../../../src/core/errors.ts";
import type { ContainerId } from "../../../src/core/ids.ts";
import { createEngine } from "../../../src/docker/engine.ts";
import { readLogTail } from "../../../src/docker/log-tail.ts";
import { bot } from "../../support/builders.ts";
import { hastyClock, json, type Script, scriptedDaemon } from "../../support/scripted-daemon.ts";

type Engine = ReturnType<typeof createEngine>;
const IMAGE = "registry.example:5000/team/bot:1";
const LOOK = `/images/${IMAGE.split("/").map(encodeURIComponent).join("/")}/json`;
const CONTAINER = "c1" as ContainerId;
const never = new AbortController().signal;
const noImage = json({ message: "No such image" }, 404);
const lines =
  (...values: object[]): Script =>
  (_, response) =>
    void response.end(values.map((value) => `${JSON.stringify(value)}\r\n`).join(""));

const hangUp: Script = (request) => void request.socket.destroy();

/** What `act` rejects with against a daemon of these replies, and what that daemon was asked. */
async function faultOf(replies: Readonly<Record<string, Script>>, act: (engine: Engine) => Promise<unknown>) {
  await using daemon = await scriptedDaemon(replies);
  const engine = createEngine({ dockerHost: daemon.host, stateDir: daemon.stateDir, clock: hastyClock(), random: () => 0 });
  try {
    const fault: unknown = await act(engine).then(
      () => undefined,
      (error: unknown) => error,
    );
    return { fault, asked: daemon.asked };
  } finally {
    engine.close();
  }
}

describe("createEngine against a daemon that fails", () => {
  const list = "/containers/json";
  const cases: readonly {
    why: string;
    replies: Record<string, Script>;
    act: (engine: Engine) => Promise<unknown>;
    gives: new (...args: never[]) => Error;
    says: RegExp;
  }[] = [
    { why: "hangs", replies: {}, act: (e) => e.ping(), gives: EngineUnreachableError, says: /within 5 s/ },
    { why: "is silent", replies: {}, act: (e) => e.list(), gives: EngineUnreachableError, says: /within 30 s/ },
    {
      why: "is silent from the first question",
      replies: { "/version": () => {} },
      act: (e) => e.list(),
      gives: EngineUnreachableError,
      says: /within 10 s/,
    },
    {
      why: "falls silent in a body",
      replies: { [list]: (_, r) => void r.write("[{") },
      act: (e) => e.list(),
      gives: EngineUnreachableError,
      says: /within 30 s/,
    },
    {
      why: "dies in a body",
      replies: { [list]: (_, r) => void r.write("[{", () => r.destroy()) },
      act: (e) => e.list(),
      gives: EngineUnreachableError,
      says: /did not answer/,
    },
    {
      why: "answers with half a value",
      replies: { [list]: (_, r) => void r.end("[{") },
      act: (e) => e.list(),
      gives: EngineUnreachableError,
      says: /did not answer/,
    },
    {
      why: "hangs up",
      replies: { [list]: hangUp },
      act: (e) => e.list(),
      gives: EngineUnreachableError,
      says: /did not answer/,
    },
    {
      why: "says no",
      replies: { "/_ping": json({ message: "not today" }, 500) },
      act: (e) => e.ping(),
      gives: EngineRefusedError,
      says: /answered 500, not today$/,
    },
    {
      why: "cannot tell what it holds",
      replies: { [list]: json({ message: "not today" }, 500) },
      act: (e) => e.list(),
      gives: EngineUnreachableError,
      says: /^Cannot list containers$/,
    },
    {
      why: "is too old",
      replies: { "/version": json({ Version: "19.3", ApiVersion: "1.40" }) },
      act: (e) => e.list(),
      gives: ConfigurationError,
      says: /1\.41 or newer, got 1\.40/,
    },
    {
      why: "is too new",
      replies: { "/version": json({ Version: "99", ApiVersion: "2.0", MinAPIVersion: "1.60" }) },
      act: (e) => e.list(),
      gives: ConfigurationError,
      says: /upgrade this runtime/,
    },
    {
      why: "cannot stop and says so for ever",
      replies: { "/containers/c1/json": json({ State: { Running: true } }), "/containers/c1/kill": json({}, 500) },
      act: (e) => e.stop(CONTAINER, 0),
      gives: EngineRefusedError,
      says: /kill/,
    },
    {
      why: "kills without effect",
      replies: {
        "/containers/c1/json": json({ State: { Running: true } }),
        "/containers/c1/kill": json({}),
        "/containers/c1/stop": json({}, 500),
      },
      act: (e) => e.stop(CONTAINER, 3),
      gives: EngineUnreachableError,
      says: /stuck/,
    },
  ];
  for (const { why, replies, act, gives, says } of cases) {
    it(`throws ${gives.name}: it ${why}`, async () => {
      const { fault } = await faultOf(replies, act);
      expect(fault).to.be.instanceOf(gives);
      expect((fault as Error).message).to.match(says);
    });
  }

  it("answers a ping though every socket for calls waits for an answer", async () => {
    const { fault, asked } = await faultOf({ "/_ping": (_, response) => void response.end("OK") }, async (engine) => {
      const lists = Array.from({ length: 40 }, () => engine.list().catch(() => undefined));
      await engine.ping();
      await Promise.all(lists);
    });
    expect(fault).to.equal(undefined);
    expect(asked).to.include("GET /_ping");
  });

  it("asks again, once, only when nothing can have happened", async () => {
    const get = await faultOf({ "/containers/bot-x/json": hangUp }, (e) => e.inspect(bot("x")));
    expect(get.asked.filter((path) => path.endsWith("/json"))).to.have.lengthOf(2);
    const kill = await faultOf({ "/containers/c1/kill": hangUp }, (e) => e.stop(CONTAINER, 0));
    expect(kill.asked.filter((path) => path.endsWith("/kill"))).to.have.lengthOf(1);
  });

  for (const { why, api, path } of [
    { why: "the daemon's, when it is older", api: "1.43", path: "GET /v1.43/containers/json" },
    { why: "ours, when it is newer", api: "1.99", path: "GET /v1.47/containers/json" },
  ]) {
    it(`speaks the version of ${why}`, async () => {
      const { asked } = await faultOf({ "/version": json({ Version: "x", ApiVersion: api }), [list]: json([]) }, (e) => e.list());
      expect(asked).to.deep.equal(["GET /version", path]);
    });
  }
});

describe("ensureImage against a registry that fails", () => {
  const cases: readonly { why: string; pull: Script; permanent: boolean; says: RegExp }[] = [
    { why: "refused before the stream", pull: json({ message: "pull access denied" }, 404), permanent: true, says: /pull access denied/ },
    {
      why: "an error inside the 200 stream",
      pull: lines({ status: "Pulling" }, { errorDetail: { message: "manifest unknown" }, error: "manifest unknown" }),
      permanent: true,
      says: /manifest unknown/,
    },
    {
      why: "not for us, inside the stream",
      pull: lines({ error: "unauthorized: authentication required" }),
      permanent: true,
      says: /unauthorized/,
    },
    {
      why: "too many requests",
      pull: lines({ error: "toomanyrequests: access denied for now" }),
      permanent: false,
      says: /toomanyrequests/,
    },
    { why: "a disk that is full", pull: lines({ error: "write /x: no space left on device" }), permanent: false, says: /no space/ },
    { why: "a stream that ends without the image", pull: lines({ status: "Pulling" }), permanent: false, says: /broke off/ },
    { why: "a pull that stalls", pull: (_, r) => void r.write('{"status":"Pulling"}\n'), permanent: false, says: /no progress for 120 s/ },
    { why: "a pull that never begins", pull: () => {}, permanent: false, says: /no progress for 120 s/ },
  ];
  for (const { why, pull, permanent, says } of cases) {
    it(`${permanent ? "stays" : "passes"}: ${why}`, async () => {
      const { fault } = await faultOf({ [LOOK]: noImage, "/images/create": pull }, (e) => e.ensureImage(IMAGE, "if-not-present", never));
      expect(fault).to.be.instanceOf(ImageUnavailableError);
      expect((fault as ImageUnavailableError).permanent).to.equal(permanent);
      expect((fault as Error).message).to.match(says);
    });
  }

  it("pulls one tag, once for all, and survives the caller who began it", async () => {
    let here = false;
    const urls: (string | undefined)[] = [];
    const replies: Record<string, Script> = {
      [LOOK]: (q, r) => (here ? json({})(q, r) : noImage(q, r)),
      "/images/create": (q, r) => {
        urls.push(q.url);
        setImmediate(() => {
          here = true;
          lines({ status: "done" })(q, r);
        });
      },
    };
    const leaver = new AbortController();
    const { fault } = await faultOf(replies, async (e) => {
      const left = e.ensureImage(IMAGE, "if-not-present", leaver.signal).catch((error: unknown) => error);
      const stay = Promise.all([1, 2].map(() => e.ensureImage(IMAGE, "if-not-present", never)));
      leaver.abort(new Error("enough"));
      expect(await left).to.equal(leaver.signal.reason);
      await stay;
    });
    expect(fault).to.equal(undefined);
    expect(urls).to.deep.equal(["/v1.46/images/create?fromImage=registry.example%3A5000%2Fteam%2Fbot&tag=1"]);
  });
});

const frame = (text: string, kind = 1) => {
  const payload = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = kind;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
};
async function* inPieces(bytes: Buffer, size: number) {
  for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
}

describe("readLogTail", () => {
  for (const { why, frames, max, gives } of [
    { why: "nothing", frames: [], max: 10, gives: "" },
    { why: "both streams in order", frames: [frame("a\n"), frame("b\n", 2)], max: 10, gives: "a\nb\n" },
    { why: "exactly all", frames: [frame("ab\ncd\n")], max: 6, gives: "ab\ncd\n" },
    { why: "cut at a line start", frames: [frame("ab\ncd\n")], max: 5, gives: "cd\n" },
    { why: "a cut on a line start", frames: [frame("ab\ncd\n")], max: 3, gives: "cd\n" },
    { why: "one line longer than all", frames: [frame("abcdef\n")], max: 4, gives: "def\n" },
    { why: "no half characters", frames: [frame("äöü")], max: 3, gives: "ü" },
  ]) {
    it(`keeps: ${why}`, async () => {
      for (const size of [1, 3, 1_000]) expect(await readLogTail(inPieces(Buffer.concat(frames), size), max)).to.equal(gives);
    });
  }
});
