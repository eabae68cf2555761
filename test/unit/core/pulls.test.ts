import { expect } from "chai";
import * as fc from "fast-check";
import {
  canonicalImage,
  judgePull,
  pauseAfter,
  pausedUntil,
  PULL_MAX_MS,
  type PullRefusal,
  type PullVerdict,
  registryOf,
} from "../../../src/core/pulls.ts";
import { at } from "../../support/builders.ts";

const none = (): number => 0;

describe("core/pulls judgePull()", () => {
  const cases: readonly { why: string; given: PullRefusal; gives: PullVerdict }[] = [
    {
      why: "Docker Hub knows no such repository, or hides it",
      given: { said: "pull access denied for x, repository does not exist", status: 404 },
      gives: { kind: "denied" },
    },
    { why: "no such tag", given: { said: "manifest for x:1 not found: manifest unknown", status: 404 }, gives: { kind: "wrong" } },
    { why: "no such tag, inside the stream", given: { said: "manifest unknown" }, gives: { kind: "wrong" } },
    { why: "not for us, inside the stream", given: { said: "unauthorized: authentication required" }, gives: { kind: "denied" } },
    {
      why: "not for us, wrapped by the Engine",
      given: { said: "Head http://r/v2/: no basic auth credentials", status: 500 },
      gives: { kind: "denied" },
    },
    { why: "forbidden", given: { said: "?", status: 403 }, gives: { kind: "denied" } },
    { why: "a name that makes no sense", given: { said: "invalid reference format", status: 400 }, gives: { kind: "wrong" } },
    { why: "another machine", given: { said: "no matching manifest for linux/arm64" }, gives: { kind: "wrong" } },
    { why: "too many requests", given: { said: "toomanyrequests: access denied for now" }, gives: { kind: "registry" } },
    { why: "too many requests, by status", given: { said: "later", status: 429 }, gives: { kind: "registry" } },
    ...(
      [
        ["retry-after: 30s", 30_000],
        ["retry-after: 1m30s, allowed: 44000/minute", 90_000],
        ["Retry-After: 118.163µs, allowed", 0.118163],
        ["retry after 12 seconds", 12_000],
        ["retry-after: 7", 7_000],
        ["retry-after: 500h", 3_600_000],
      ] as const
    ).map(([said, retryAfterMs]) => ({
      why: said,
      given: { said: `toomanyrequests: ${said}` },
      gives: { kind: "registry" as const, retryAfterMs },
    })),
    { why: "a wait that is none", given: { said: "toomanyrequests: retry-after: soon" }, gives: { kind: "registry" } },
    {
      why: "nobody listens",
      given: { said: "Get http://r/v2/: dial tcp 1.2.3.4:443: connect: connection refused", status: 500 },
      gives: { kind: "registry" },
    },
    { why: "no name server", given: { said: "lookup r on 1.1.1.1:53: no such host" }, gives: { kind: "registry" } },
    {
      why: "a registry in trouble",
      given: { said: "received unexpected HTTP status: 503 Service Unavailable" },
      gives: { kind: "registry" },
    },
    { why: "silence", given: { said: "no progress for 120 s", stalled: true }, gives: { kind: "registry" } },
    { why: "our disk is full", given: { said: "write /x: no space left on device", status: 500 }, gives: { kind: "image" } },
    {
      why: "a layer that is not what it should be",
      given: { said: "filesystem layer verification failed for digest sha256:0" },
      gives: { kind: "image" },
    },
    { why: "half a layer", given: { said: "unexpected EOF" }, gives: { kind: "image" } },
  ];
  for (const { why, given, gives } of cases) it(`${gives.kind}: ${why}`, () => expect(judgePull(given)).to.deep.equal(gives));
});

describe("core/pulls pauseAfter()", () => {
  it("doubles from 5 s to 5 min while faults follow each other", () => {
    let pause = pauseAfter(undefined, undefined, at(0), none);
    const waits = [pause.until as number];
    for (let i = 0; i < 7; i++) {
      const now = pause.until;
      pause = pauseAfter(pause, undefined, now, none);
      waits.push(pause.until - now);
    }
    expect(waits).to.deep.equal([5, 10, 20, 40, 80, 160, 300, 300].map((s) => s * 1_000));
  });
  for (const { why, past, retryAfterMs, now, gives } of [
    { why: "a registry's word when it is longer", past: undefined, retryAfterMs: 60_000, now: 0, gives: { faults: 1, until: 60_000 } },
    { why: "our own wait when that is longer", past: undefined, retryAfterMs: 1, now: 0, gives: { faults: 1, until: 5_000 } },
    {
      why: "a fault inside the pause is no other fault",
      past: { faults: 1, until: 5_000 },
      now: 4_000,
      gives: { faults: 1, until: 9_000 },
    },
    { why: "a fault inside a long pause does not end it", past: { faults: 1, until: 60_000 }, now: 1, gives: { faults: 1, until: 60_000 } },
    { why: "old faults are forgotten", past: { faults: 9, until: 0 }, now: 600_001, gives: { faults: 1, until: 605_001 } },
  ] as const) {
    it(`gives ${gives.until} ms: ${why}`, () => {
      const before = past === undefined ? undefined : { faults: past.faults, until: at(past.until) };
      expect(pauseAfter(before, retryAfterMs, at(now), none)).to.deep.equal(gives);
    });
  }
  it("is never shorter than the registry asks, nor longer than 5 min by itself", () => {
    const any = fc.record({ faults: fc.nat(100), random: fc.double({ min: 0, max: 0.999, noNaN: true }), asked: fc.nat(3_600_000) });
    fc.assert(
      fc.property(any, ({ faults, random, asked }) => {
        const past = { faults: faults + 1, until: at(0) };
        const [own, obeyed] = [undefined, asked].map((ms) => pauseAfter(past, ms, at(0), () => random).until as number);
        return (own ?? 0) >= 3_750 && (own ?? 0) <= PULL_MAX_MS && (obeyed ?? 0) >= asked;
      }),
    );
  });
});

describe("core/pulls pausedUntil()", () => {
  const until = (ms: number) => ({ faults: 1, until: at(ms) });
  for (const { why, image, registry, gives } of [
    { why: "nothing waits", image: undefined, registry: undefined, gives: undefined },
    { why: "both waits are over", image: until(10), registry: until(5), gives: undefined },
    { why: "the image waits", image: until(20), registry: until(5), gives: 20 },
    { why: "the registry waits longer", image: until(20), registry: until(30), gives: 30 },
  ])
    it(`gives ${gives}: ${why}`, () => expect(pausedUntil(image, registry, at(10))).to.equal(gives));
});

describe("core/pulls registryOf()", () => {
  for (const [image, gives] of [
    ["nginx", "docker.io"],
    ["nginx:1.27", "docker.io"],
    ["team/bot:1", "docker.io"],
    ["index.docker.io/team/bot", "docker.io"],
    ["docker.io/library/nginx", "docker.io"],
    ["ghcr.io/team/bot:1", "ghcr.io"],
    ["localhost/bot", "localhost"],
    ["127.0.0.1:5000/bot:1", "127.0.0.1:5000"],
    ["Registry/bot", "registry"],
    ["r.example:5000/bot@sha256:ab", "r.example:5000"],
  ] as const)
    it(`gives ${gives} for ${image}`, () => expect(registryOf(image)).to.equal(gives));
});

describe("core/pulls canonicalImage()", () => {
  for (const [image, gives] of [
    ["nginx", "docker.io/library/nginx:latest"],
    ["index.docker.io/library/nginx:latest", "docker.io/library/nginx:latest"],
    ["team/bot:1", "docker.io/team/bot:1"],
    ["r.example:5000/bot", "r.example:5000/bot:latest"],
    ["r.example:5000/a/bot:1@sha256:ab", "r.example:5000/a/bot@sha256:ab"],
    ["nginx@sha256:ab", "docker.io/library/nginx@sha256:ab"],
  ] as const)
    it(`gives ${gives} for ${image}`, () => expect(canonicalImage(image)).to.equal(gives));
});
