import { EventEmitter, once } from "node:events";
import type { ServerResponse } from "node:http";
import { expect } from "chai";
import { createEngine } from "../../../src/docker/engine.ts";
import type { EngineEvents } from "../../../src/docker/engine-events.ts";
import { anOrder } from "../../support/builders.ts";
import { writeLabels } from "../../../src/docker/labels.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { json, scriptedDaemon } from "../../support/scripted-daemon.ts";

const labelsOf = (id: string) => writeLabels(anOrder(id));

/** An engine that watches a daemon whose list and events are set by hand, on a clock that is moved by hand. */
async function watched() {
  const streams: { readonly url: string; readonly response: ServerResponse }[] = [];
  const daemonSays = new EventEmitter();
  let rows: { Id: string; State: string; Labels: object }[] = [];
  const away = { is: false, asked: 0 };
  const daemon = await scriptedDaemon({
    "/containers/json": (q, r) => json(rows)(q, r),
    "/events": (request, response) => {
      if (away.is) {
        away.asked += 1;
        request.socket.destroy();
        return;
      }
      response.writeHead(200).flushHeaders();
      streams.push({ url: decodeURIComponent(request.url ?? ""), response });
      daemonSays.emit("stream");
    },
  });
  const clock = new FakeClock();
  const bus = new EventEmitter<EngineEvents>();
  const silent: number[] = [];
  bus.on("events:silent", ({ times }) => silent.push(times));
  const engine = createEngine({ dockerHost: daemon.host, stateDir: daemon.stateDir, clock, random: () => 0, bus });
  const over = new AbortController();
  const hints: (string | undefined)[] = [];
  const heard = new EventEmitter();
  const hinted = once(heard, "hint");
  const watching = engine.watch((hint) => {
    hints.push(hint);
    heard.emit("hint");
  }, over.signal);
  await hinted;
  return {
    clock,
    streams,
    hints,
    silent,
    away,
    /** Does something and waits for the hint that follows. */
    async hint(act: () => void | Promise<void>): Promise<void> {
      const next = once(heard, "hint");
      await act();
      await next;
    },
    async list(states: Readonly<Record<string, string>>): Promise<void> {
      rows = Object.entries(states).map(([name, State]) => ({ Id: `id-${name}`, State, Labels: labelsOf(name) }));
      await engine.list();
    },
    event(name: string, Action: string, nano: number): void {
      const time = `17000000001${String(nano).padStart(8, "0")}`;
      const text = JSON.stringify({ Action, Actor: { ID: `id-${name}`, Attributes: labelsOf(name) } });
      streams.at(-1)?.response.write(`${text.slice(0, -1)},"timeNano":${time}}\n`);
    },
    async [Symbol.asyncDispose]() {
      over.abort();
      await watching;
      engine.close();
      await daemon[Symbol.asyncDispose]();
    },
  };
}

describe("watch()", () => {
  it("asks for its own events, and hints at the bot of each", async () => {
    await using seen = await watched();
    await seen.hint(() => seen.event("x", "die", 1));
    expect(seen.hints).to.deep.equal([undefined, "x"]);
    expect(seen.streams[0]?.url).to.contain('"label":["botrunner.managed=1"]').and.not.contain("since");
  });

  it("goes on from the last event's time when a stream ends, and takes what comes again for nothing new", async () => {
    await using seen = await watched();
    await seen.hint(() => seen.event("x", "die", 1));
    await seen.hint(async () => {
      seen.streams[0]?.response.end();
      await new Promise((resolve) => setImmediate(resolve));
      while (seen.streams.length < 2) await seen.clock.advance(100);
    });
    expect(seen.streams[1]?.url).to.contain("since=1700000000.100000001");
    seen.event("x", "die", 1);
    await seen.hint(() => seen.event("x", "destroy", 2));
    expect(seen.hints).to.deep.equal([undefined, "x", undefined, "x"]);
  });

  it("asks an Engine that is away often, however long: bots that went with it are down until it is heard", async () => {
    await using seen = await watched();
    seen.away.is = true;
    seen.streams[0]?.response.destroy();
    let waitedMs = 0;
    for (; seen.away.asked < 12; waitedMs += 100) await seen.clock.advance(100);
    expect(waitedMs).to.be.below(12 * 500);
    seen.away.is = false;
    await seen.hint(() => seen.clock.advance(400));
    expect(seen.hints).to.deep.equal([undefined, undefined]);
  });

  it("opens a stream anew that did not bring what a list shows, at once after a little grace", async () => {
    await using seen = await watched();
    await seen.hint(() => seen.event("x", "start", 1));
    await seen.list({ x: "running" });
    await seen.list({ x: "exited" });
    await seen.clock.advance(1_999);
    expect([seen.streams.length, seen.silent]).to.deep.equal([1, []]);
    await seen.hint(() => seen.clock.advance(1));
    expect([seen.hints, seen.silent]).to.deep.equal([[undefined, "x", undefined], [1]]);
    expect(seen.streams[1]?.url).to.contain("since=1700000000.100000001");
  });

  it("leaves a stream alone that brings it within the grace", async () => {
    await using seen = await watched();
    await seen.list({});
    await seen.list({ x: "running" });
    await seen.clock.advance(1_500);
    await seen.hint(() => seen.event("x", "start", 1));
    await seen.clock.advance(60_000);
    expect([seen.streams.length, seen.silent]).to.deep.equal([1, []]);
  });

  it("takes nothing amiss that happened before the stream was open", async () => {
    await using seen = await watched();
    await seen.list({ x: "running", y: "exited" });
    await seen.clock.advance(60_000);
    expect(seen.streams).to.have.lengthOf(1);
  });

  it("waits longer each time behind a proxy that lets no event through, until one comes", async () => {
    await using seen = await watched();
    let turn = 0;
    const waits: number[] = [];
    const untilSilent = async () => {
      await seen.list({});
      await seen.list({ x: turn++ % 2 === 0 ? "running" : "exited" });
      await seen.hint(async () => {
        let waited = 0;
        for (const before = seen.silent.length; seen.silent.length === before; waited += 500) await seen.clock.advance(500);
        waits.push(waited);
      });
    };
    for (let n = 0; n < 8; n++) await untilSilent();
    await seen.hint(() => seen.event("other", "start", 1));
    await untilSilent();
    expect(waits).to.deep.equal([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000, 2_000]);
    expect(seen.silent).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 1]);
  });
});
