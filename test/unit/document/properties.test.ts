import { expect } from "chai";
import * as fc from "fast-check";
import type { BotReading } from "../../../src/core/bot.ts";
import type { RawId } from "../../../src/core/ids.ts";
import { createBotReader } from "../../../src/document/read-bot.ts";

const read = createBotReader({ maxStopGraceSeconds: 60 });
const raw: RawId = { kind: "string", value: "me" };

function expectVerdict(reading: BotReading): void {
  if (reading.kind === "valid") expect(reading.hash).to.match(/^[0-9a-f]{64}$/);
  else expect(reading.faults).to.not.have.lengthOf(0);
}

const anything = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
} as fc.ObjectConstraints);
const fields = [
  "enabled",
  "image",
  "command",
  "args",
  "env",
  "config",
  "resources",
  "restart",
  "schedule",
  "timezone",
  "secrets",
  "stopGraceSeconds",
  "labels",
  "security",
  "restartedAt",
  "imagePullPolicy",
];

const valid = {
  image: "registry.example.com:5000/team/bot:1.2",
  command: ["sh"],
  args: ["-c", "true"],
  env: { A: "1" },
  config: { deep: [{ list: [1, "two", null, true] }] },
  resources: { memory: "64Mi", cpu: "250m", pids: 32 },
  restart: "on-failure",
  stopGraceSeconds: 5,
  labels: { team: "a" },
  security: { readOnlyRootFilesystem: true, user: "1000:1000", capabilities: ["CHOWN"] },
};

/** Puts `value` at a random place of a valid document. */
const mutated = fc
  .tuple(fc.constantFrom(...Object.keys(valid)), fc.option(fc.string(), { nil: undefined }), anything)
  .map(([field, key, value]) => {
    const old: unknown = valid[field as keyof typeof valid];
    const inner = key === undefined || typeof old !== "object" ? value : { ...old, [key]: value };
    return { ...valid, [field]: inner };
  });

describe("the reader of bot documents", () => {
  it("has a verdict for anything at all", () =>
    fc.assert(
      fc.property(anything, (document) => expectVerdict(read({ raw, document: document as Record<string, unknown> }))),
      { numRuns: 2000 },
    ));
  it("has a verdict for anything in every field", () =>
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...fields), anything), (document) => expectVerdict(read({ raw, document }))),
      { numRuns: 2000 },
    ));
  it("has a verdict for a valid document with one thing changed", () =>
    fc.assert(
      fc.property(mutated, (document) => expectVerdict(read({ raw, document }))),
      { numRuns: 2000 },
    ));
  it("has a verdict for anything in place of an id", () =>
    fc.assert(fc.property(anything, (id) => expectVerdict(read({ raw: id as RawId, document: { image: "a" } })))));
  it("takes any JSON as a config and keeps it", () =>
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (config) => {
        const reading = read({ raw, document: { image: "a", config } });
        expect(reading.kind === "valid" && JSON.stringify(reading.spec.config)).to.equal(JSON.stringify(config));
      }),
    ));

  it("is not led astray by what only code can make", () => {
    const loop: unknown[] = [];
    loop.push(loop, loop, loop);
    const trap = new Proxy({}, { ownKeys: () => { throw new Error("no"); } }); // prettier-ignore
    const getter = Object.defineProperty({ image: "a" }, "config", { enumerable: true, get: () => { throw new Error("no"); } }); // prettier-ignore
    const long = Object.assign([], { length: 4_000_000_000 });
    for (const document of [{ image: "a", config: loop }, { image: "a", env: trap }, getter, { image: "a", args: long }, trap]) {
      const reading = read({ raw, document });
      expect(reading.kind).to.equal("invalid");
    }
  });
});
