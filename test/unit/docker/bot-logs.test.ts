import type { ServerResponse } from "node:http";
import { expect } from "chai";
import * as fc from "fast-check";
import { EngineUnreachableError } from "../../../src/core/errors.ts";
import { openBotLogs } from "../../../src/docker/bot-logs.ts";
import { LogFrameReader } from "../../../src/docker/log-frames.ts";
import { LogPlace } from "../../../src/docker/log-place.ts";
import { writeLabels } from "../../../src/docker/labels.ts";
import { aSpec, bot, epoch, hash, segment, sid } from "../../support/builders.ts";
import { hastyClock, json, type Script, scriptedDaemon } from "../../support/scripted-daemon.ts";

/** A line of a bot: nanoseconds after a whole second, and what it says. */
type Line = { readonly nano: number; readonly text: string; readonly stream?: 1 | 2 };
const line = (nano: number, text = `line ${nano}`, stream: 1 | 2 = 1): Line => ({ nano, text, stream });
const stamp = (nano: number) => `2026-11-24T01:02:03.${String(nano).padStart(9, "0")}Z`;
const since = (nano: number) => `${Date.parse("2026-11-24T01:02:03Z") / 1_000}.${String(nano).padStart(9, "0")}`;

function frame({ nano, text, stream = 1 }: Line): Buffer {
  const payload = Buffer.from(`${stamp(nano)} ${text}\n`);
  const header = Buffer.alloc(8);
  header.writeUInt8(stream);
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}
const frames = (lines: readonly Line[]) => Buffer.concat(lines.map(frame));
const never = new AbortController().signal;
const say =
  (...lines: Line[]) =>
  (response: ServerResponse): void =>
    void response.end(frames(lines));

/** The Engine's side: what it replies to a `since`, in the order of its file. */
const reply = (file: readonly Line[], from: string | undefined) => file.filter(({ nano }) => from === undefined || since(nano) >= from);
const take = (place: LogPlace, lines: readonly Line[]) =>
  new LogFrameReader().push(frames(lines)).flatMap((f) => place.take(f)?.toString() ?? []);

describe("LogFrameReader", () => {
  it("gives the same frames however the chunks fall", () => {
    const all = frames([line(1, "a"), line(2, "", 2), line(3, "x".repeat(300))]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: all.length })), (cuts) => {
        const reader = new LogFrameReader();
        const at = [0, ...cuts.toSorted((a, b) => a - b), all.length];
        const got = at
          .slice(1)
          .flatMap((end, i) => reader.push(all.subarray(at[i], end)).map(({ stream, payload }) => [stream, payload.length]));
        expect(got).to.deep.equal([
          [1, 33],
          [2, 32],
          [1, 332],
        ]);
      }),
    );
  });
});

describe("LogPlace", () => {
  it("asks for everything while it remembers everything", () => {
    const place = new LogPlace(true);
    take(place, [line(1), line(2)]);
    expect(place.resume()).to.equal(undefined);
    expect(take(place, [line(1), line(2), line(3)])).to.deep.equal(["line 3\n"]);
  });
  it("after a tail it asks from before its end", () => {
    const place = new LogPlace(false);
    expect(place.resume()).to.equal(undefined);
    take(place, [line(1), line(2), line(3), line(4)]);
    expect(place.resume()).to.equal(since(3));
  });
  it("takes the stamp's zone into account", () => {
    const place = new LogPlace(false);
    place.take({ stream: 1, payload: Buffer.from("2026-11-24T02:02:03.5+01:00 x\n") });
    expect(place.resume()).to.equal(since(500_000_000));
  });
  it("hands over what bears no stamp", () =>
    expect(new LogPlace(true).take({ stream: 1, payload: Buffer.from("x\n") })?.toString()).to.equal("x\n"));
  it("tells equal parts of one long line apart, and equal words of both streams", () => {
    const part = { stream: 1, payload: Buffer.from(`${stamp(1)} xxx`) };
    const end = { stream: 1, payload: Buffer.from(`${stamp(1)} \n`) };
    const all = [part, part, { ...end, stream: 2 }, part, end];
    const place = new LogPlace(true);
    const got = (): string[] => all.flatMap((f) => place.take(f)?.toString() ?? []);
    expect(got()).to.deep.equal(["xxx", "xxx", "\n", "xxx", "\n"]);
    place.resume();
    expect(got()).to.deep.equal([]);
  });
  // Few moments: stamps repeat and are not in order.
  const arbFile = fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.constantFrom(1 as const, 2 as const)), { maxLength: 60 });
  it("loses and doubles nothing over any breaks", () =>
    fc.assert(
      fc.property(arbFile, fc.array(fc.nat(60), { maxLength: 6 }), fc.nat(70), (rows, breaks, last) => {
        const file = rows.map(([jitter, stream], i) => line(10 * Math.floor(i / 3) + jitter, `line ${i}`, stream));
        const place = new LogPlace(true);
        const got: string[] = [];
        for (const written of [...breaks.toSorted((a, b) => a - b), file.length]) {
          const there = file.slice(0, written);
          // As the Engine does: the last lines first, and of those what is not too old.
          const near = reply(there.slice(-last), place.resumeNear(last));
          const [first] = new LogFrameReader().push(frames(near.slice(0, 1)));
          const isJoined = last > 0 && first !== undefined && place.has(first);
          got.push(...take(place, isJoined ? near : reply(there, place.resume())));
        }
        expect(got).to.deep.equal(file.map(({ text }) => `${text}\n`));
      }),
    ));
  it("keeps a bounded memory and still finds its place", () => {
    const place = new LogPlace(true);
    const file = Array.from({ length: 70_000 }, (_, i) => line(i));
    expect(take(place, file)).to.have.lengthOf(70_000);
    const more = [...file, line(70_000)];
    const told = reply(more, place.resume());
    expect(told.length).to.be.within(8_000, 16_400);
    expect(take(place, told)).to.deep.equal(["line 70000\n"]);
  });
});

describe("openBotLogs()", () => {
  const id = "c1";
  const labels = writeLabels({ bot: bot("a"), segment: segment(1), epoch: epoch(1), sid: sid(), hash: hash(), spec: aSpec(), why: "new" });
  const state = (Status: string): Script =>
    json({
      Id: id,
      Config: { Labels: labels },
      State: { Status, ExitCode: 0, OOMKilled: false, StartedAt: "", FinishedAt: "", Error: "" },
    });

  /** Each log request is answered by the next of `answers`, each inspect of the container by the next state. */
  async function follow(
    tail: number | undefined,
    answers: readonly ((response: ServerResponse) => void)[],
    states: readonly string[],
    times = 1,
  ) {
    const asked: string[] = [];
    let nextAnswer = 0;
    let nextState = 0;
    await using daemon = await scriptedDaemon({
      "/containers/bot-a/json": state("running"),
      [`/containers/${id}/json`]: (request, response) => {
        const now = states[Math.min(nextState++, states.length - 1)] ?? "exited";
        if (now === "none") json({ message: "No such container" }, 404)(request, response);
        else state(now)(request, response);
      },
      [`/containers/${id}/logs`]: (request, response) => {
        const query = new URL(request.url ?? "", "http://h").searchParams;
        asked.push(["follow", "tail", "since"].flatMap((k) => (query.has(k) ? [`${k}=${query.get(k)}`] : [])).join(" "));
        (answers[nextAnswer++] ?? ((r) => void r.end()))(response);
      },
    });
    const logs = openBotLogs({ dockerHost: daemon.host, clock: hastyClock() });
    const text: string[] = [];
    try {
      const log = (await logs.find(bot("a")))?.open(tail);
      let how: unknown;
      for (let i = 0; i < times; i++)
        how = await log?.follow(async (piece) => void text.push(piece.toString()), never).catch((error: unknown) => error);
      return { how, asked, text: text.join("") };
    } finally {
      logs.close();
    }
  }
  const nearBy = (lines: number) => `tail=${lines} since=${since(1).replace(/^\d+/, (seconds) => String(Number(seconds) - 10))}`;
  const near = nearBy(1_000);
  it("shows the tail, goes on, and looks once more after the end", async () =>
    expect(await follow(2_000, [say(line(1)), say(line(1), line(2)), say(line(1), line(2), line(3))], ["running", "exited"])).to.deep.equal(
      { how: "ended", text: "line 1\nline 2\nline 3\n", asked: ["tail=2000", near, near] },
    ));
  it("shows no more than the tail, yet knows its place", async () => {
    const { asked, text } = await follow(1, [say(line(1), line(2), line(3)), say(line(1), line(2), line(3), line(4))], ["exited"]);
    expect({ text, asked }).to.deep.equal({ text: "line 3\nline 4\n", asked: ["tail=1000", near] });
  });
  it("shows nothing of the past with a tail of 0", async () =>
    expect((await follow(0, [say(line(1)), say(line(1), line(2))], ["exited"])).text).to.equal("line 2\n"));
  it("shows all of a new container", async () =>
    expect(await follow(undefined, [say(line(1))], ["exited"])).to.deep.equal({ how: "ended", text: "line 1\n", asked: [""] }));
  it("waits for one that has not started or has said nothing", async () =>
    expect((await follow(0, [say(), say(), say(line(1))], ["created", "running", "exited"])).text).to.equal("line 1\n"));
  it("asks for more of the last lines when more was written than it asked for", async () => {
    const { text, asked } = await follow(0, [say(line(1)), say(line(3)), say(line(1), line(2), line(3))], ["exited"]);
    expect({ text, asked }).to.deep.equal({ text: "line 2\nline 3\n", asked: ["tail=1000", near, nearBy(4_000)] });
  });
  it("asks for everything since its place when even that was too few", async () => {
    const gap = say(line(3));
    const { text, asked } = await follow(0, [say(line(1)), gap, gap, gap, say(line(1), line(2), line(3))], ["exited"]);
    const asks = ["tail=1000", near, nearBy(4_000), nearBy(16_000), `since=${since(1)}`];
    expect({ text, asked }).to.deep.equal({ text: "line 2\nline 3\n", asked: asks });
  });
  it("asks for twice as many of the last lines as came before, and for a thousand at least", async () => {
    const many = Array.from({ length: 1_500 }, (_, i) => line(i + 1));
    const { asked } = await follow(0, [say(line(1)), say(...many), say(...many), say(...many)], ["running", "running", "exited"]);
    expect(asked.map((ask) => ask.split(" ")[0])).to.deep.equal(["tail=1000", "tail=1000", "tail=2998", "tail=1000"]);
  });
  for (const { why, answer, states } of [
    { why: "is not there any more", answer: say(line(1)), states: ["none"] },
    { why: "is being removed", answer: say(line(1)), states: ["removing"] },
    { why: "has no log any more", answer: (r: ServerResponse) => void r.writeHead(404).end("{}"), states: ["exited"] },
    { why: "is marked for removal", answer: (r: ServerResponse) => void r.writeHead(409).end("{}"), states: ["exited"] },
  ])
    it(`tells when the container ${why}`, async () => expect((await follow(undefined, [answer], states)).how).to.equal("gone"));
  for (const { why, answer } of [
    { why: "a broken answer", answer: (r: ServerResponse) => void r.write(frame(line(1)), () => r.destroy()) },
    { why: "an answer that falls silent", answer: (r: ServerResponse) => void r.write(frame(line(1))) },
    { why: "no answer", answer: () => {} },
    { why: "a daemon that is ending", answer: (r: ServerResponse) => void r.writeHead(503).end("{}") },
  ])
    it(`goes on where it stood after ${why}`, async () => {
      expect((await follow(undefined, [answer], ["exited"])).how).to.be.instanceOf(EngineUnreachableError);
      expect((await follow(undefined, [answer, say(line(1), line(2))], ["exited"], 2)).text).to.equal("line 1\nline 2\n");
    });
  it("finds no container of a stranger", async () => {
    await using daemon = await scriptedDaemon({
      "/containers/bot-a/json": json({ Id: "x", Config: { Labels: {} }, State: { Status: "running" } }),
    });
    const logs = openBotLogs({ dockerHost: daemon.host, clock: hastyClock() });
    expect(await logs.find(bot("a"))).to.equal(undefined);
    logs.close();
  });
});
