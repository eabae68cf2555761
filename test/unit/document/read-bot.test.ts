import { readFileSync } from "node:fs";
import { expect } from "chai";
import { Binary, Decimal128, Long, ObjectId } from "mongodb";
import type { BotReading, BotSpec } from "../../../src/core/bot.ts";
import type { RawId } from "../../../src/core/ids.ts";
import { planApply } from "../../../src/cli/apply.ts";
import { createBotReader } from "../../../src/document/read-bot.ts";
import { malformedBots } from "../../support/malformed-bots.ts";

const readFound = createBotReader({ maxStopGraceSeconds: 60 });
const me: RawId = { kind: "string", value: "me" };
const read = (document: object, raw: RawId = me) => readFound({ raw, document: document as Record<string, unknown> });
const faults = (reading: BotReading) => (reading.kind === "invalid" ? reading.faults : []);
const image = "nginx:1.27";

const specOf = (document: object): BotSpec => {
  const reading = read({ image, ...document });
  if (reading.kind === "invalid") throw new Error(reading.faults.join("\n"));
  return reading.spec;
};

const validCases: readonly { why: string; document: object; gives: object }[] = [
  {
    why: "absent limits have defaults",
    document: {},
    gives: { resources: { memoryBytes: 512 * 1024 ** 2, pids: 256 }, restart: "always", stopGraceSeconds: 10, env: {}, labels: {} },
  },
  { why: "rights have defaults", document: {}, gives: { security: { readOnlyRootFilesystem: false, capabilities: [] } } },
  {
    why: "null says nothing",
    document: { command: null, env: null, resources: { cpu: null, memory: null }, schedule: null },
    gives: { env: {}, resources: { memoryBytes: 512 * 1024 ** 2, pids: 256 } },
  },
  { why: "null is a config", document: { config: null }, gives: { config: null } },
  {
    why: "quantities may be numbers",
    document: { resources: { memory: 33_554_432, cpu: 0.5 } },
    gives: { resources: { memoryBytes: 33_554_432, nanoCpus: 500_000_000, pids: 256 } },
  },
  {
    why: "a user may be a number",
    document: { security: { user: 1000 } },
    gives: { security: { readOnlyRootFilesystem: false, user: "1000", capabilities: [] } },
  },
  {
    why: "capabilities have an order",
    document: { security: { capabilities: ["SETUID", "CHOWN", "SETUID"] } },
    gives: { security: { readOnlyRootFilesystem: false, capabilities: ["CHOWN", "SETUID"] } },
  },
  {
    why: "a time is kept in UTC",
    document: { restartedAt: "2026-01-31T13:00:00+01:00" },
    gives: { restartedAt: "2026-01-31T12:00:00.000Z" },
  },
  {
    why: "a time may be a date of MongoDB",
    document: { restartedAt: new Date("2026-01-31T12:00:00Z") },
    gives: { restartedAt: "2026-01-31T12:00:00.000Z" },
  },
  { why: "a pull policy is kept", document: { imagePullPolicy: "always" }, gives: { imagePullPolicy: "always" } },
  { why: "labels may have dots", document: { labels: { "a.b/c": "d" } }, gives: { labels: { "a.b/c": "d" } } },
];

const faultCases: readonly { why: string; document: object; says: string }[] = [
  {
    why: "a grace over the operator's limit",
    document: { stopGraceSeconds: 61 },
    says: "stopGraceSeconds: must be at most MAX_STOP_GRACE_SECONDS (60), got 61: lower it",
  },
  {
    why: "a secret in env",
    document: { env: { TOKEN: { secret: "x" } } },
    says: "env.TOKEN: secrets are not supported yet by this version",
  },
  { why: "the secrets field", document: { secrets: ["a"] }, says: "secrets: is not supported yet by this version, got a list" },
  { why: "a time zone", document: { timezone: "Europe/Paris" }, says: "timezone: is not supported yet" },
  { why: "a variable's bad name", document: { env: { "A-B": "x" } }, says: "env.A-B: must have a name of letters" },
  {
    why: "a variable's impossible name",
    document: JSON.parse('{"env":{"__proto__":"x"}}') as object,
    says: "env.__proto__: is a name that cannot be used",
  },
  {
    why: "a NUL",
    document: { args: ["a\0b"] },
    says: "args[0]: must be well-formed text without NUL characters, got a text of 3 characters",
  },
  { why: "too much env", document: { env: { A: "x".repeat(65_536) } }, says: "env: must have at most 64 KiB in all" },
  { why: "Docker's labels", document: { labels: { "com.docker.x": "y" } }, says: 'labels."com.docker.x": has a prefix that is not yours' },
  { why: "our labels", document: { labels: { "botrunner.bot": "y" } }, says: 'labels."botrunner.bot": has a prefix that is not yours' },
  {
    why: "little memory",
    document: { resources: { memory: "6Mi" } },
    says: 'resources.memory: must be at least 16Mi, got "6Mi": write memory: "512Mi"',
  },
  { why: "hardly any CPU", document: { resources: { cpu: "1m" } }, says: "resources.cpu: must be at least 10m" },
  { why: "resources as text", document: { resources: "big" }, says: 'resources: must be an object, got "big"' },
  {
    why: "a config too large",
    document: { config: "x".repeat(1024 * 1024) },
    says: "config: must be at most 1048576 bytes as JSON, got 1048578 bytes",
  },
  { why: "a config too deep", document: { config: nested(100) }, says: "nesting deeper than 64 levels" },
  { why: "a config that is no number", document: { config: { a: Number.NaN } }, says: "config.a: must be JSON, got NaN" },
  {
    why: "numbers of the driver",
    document: { config: [Long.fromString("9007199254740993"), Decimal128.fromString("1")] },
    says: "config[0]: must be JSON, got a Long",
  },
  {
    why: "bytes",
    document: { env: { KEY: new Binary(Buffer.from("x")) } },
    says: "env.KEY: secrets are not supported yet by this version, it must be text, got a Binary",
  },
  {
    why: "a day that is no time",
    document: { restartedAt: "2026-01-31" },
    says: 'restartedAt: must be a time in ISO 8601 with its zone, got "2026-01-31": write restartedAt: "2026-01-31T12:00:00Z"',
  },
  { why: "a month that is none", document: { restartedAt: "2026-13-31T12:00:00Z" }, says: "restartedAt: must be a time in ISO 8601" },
  { why: "a time that is a number", document: { restartedAt: 5 }, says: "restartedAt: must be a time, got 5" },
  { why: "a date that is none", document: { restartedAt: new Date(Number.NaN) }, says: "restartedAt: must be a time, got a Date" },
  {
    why: "a pull policy in Kubernetes' spelling",
    document: { imagePullPolicy: "IfNotPresent" },
    says: 'imagePullPolicy: must be always, if-not-present or never, got "IfNotPresent": write imagePullPolicy: if-not-present',
  },
  { why: "an empty program", document: { command: [""] }, says: "command: must not start with an empty text" },
  {
    why: "a capability's other name",
    document: { security: { capabilities: ["CAP_CHOWN"] } },
    says: "security.capabilities[0]: must be one of CHOWN",
  },
  {
    why: "text for a boolean",
    document: { enabled: "false" },
    says: 'enabled: must be true or false, got "false": write enabled: true without quotes',
  },
  {
    why: "another policy",
    document: { restart: "unless-stopped" },
    says: 'restart: must be always, on-failure or never, got "unless-stopped"',
  },
];

function nested(depth: number): unknown {
  return depth === 0 ? 1 : [nested(depth - 1)];
}

const hash = (document: object) => {
  const reading = read({ image, ...document });
  return reading.kind === "valid" ? reading.hash : "";
};

describe("createBotReader()", () => {
  for (const { why, document, gives } of validCases) it(`takes: ${why}`, () => expect(specOf(document)).to.deep.include(gives));
  for (const { why, document, says } of faultCases)
    it(`refuses: ${why}`, () => expect(faults(read({ image, ...document })).join("\n")).to.include(says));
  for (const { why, document, fault, named } of malformedBots) {
    it(`refuses: ${why}`, () => {
      const reading = read(document, named ? { kind: "string", value: String(document._id) } : { kind: "other", text: "the number 42" });
      expect(faults(reading).join("; ")).to.include(fault);
      expect(reading.id).to.equal(named ? document._id : undefined);
    });
  }
  it("refuses an _id that names nobody, and says which document it is", () => {
    const reading = read({ image }, { kind: "other", text: "the number 42" });
    expect(reading).to.deep.equal({
      kind: "invalid",
      document: "the number 42",
      faults: ["_id: must be a string or an ObjectId, got the number 42: insert the bot again under a string _id"],
    });
  });

  it("never repeats what may be a secret", () => {
    const document = {
      env: { A: "hunter2\0", B: ["hunter2"], hunter: 1 },
      args: "hunter2",
      command: [{ hunter2: 1 }],
      config: { a: () => "hunter2" },
      secrets: "hunter2",
    };
    expect(faults(read(document)).join("\n")).to.not.include("hunter2");
  });
  it("names fields that nobody reads, and what was meant", () => {
    const reading = read({ image, _id: "me", commmand: ["x"], memory: "1Gi", resources: { mem: 1, memry: 2 }, whatever: 1 });
    expect(reading.kind === "valid" && reading.warnings).to.deep.equal([
      "commmand: is not a field and has no effect: did you mean command?",
      "memory: is not a field and has no effect: did you mean resources.memory?",
      "whatever: is not a field and has no effect",
      "resources.mem: is not a field and has no effect",
      "resources.memry: is not a field and has no effect: did you mean resources.memory?",
    ]);
  });
  it("refuses the string twin of an ObjectId", () => {
    const hex = new ObjectId().toHexString();
    const reading = readFound({ raw: { kind: "string", value: hex }, document: { image } }, true);
    expect(reading).to.include({ kind: "invalid", document: hex });
    expect(reading.id).to.equal(undefined);
    expect(faults(reading)[0]).to.include("string twin of an ObjectId");
  });
  it("bounds the number of faults and the length of names", () => {
    const env = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`V${i}`, i]));
    expect(faults(read({ image, env }))).to.have.lengthOf(31);
    const reading = read({}, { kind: "string", value: "x".repeat(100_000) });
    expect(reading.kind === "invalid" && reading.document.length).to.be.lessThan(201);
  });

  describe("hash", () => {
    it("is the same for the same wish in other words", () => {
      expect(hash({ env: { A: "1", B: "2" } })).to.equal(hash({ env: { B: "2", A: "1" }, enabled: false, note: "x" }));
      expect(hash({ resources: { memory: "1Gi", cpu: "500m" } })).to.equal(hash({ resources: { cpu: 0.5, memory: "1024Mi" } }));
      expect(hash({ imagePullPolicy: "if-not-present" })).to.equal(hash({}));
      expect(hash({ restartedAt: "2026-01-31T12:00:00.000Z" })).to.equal(hash({ restartedAt: new Date("2026-01-31T12:00:00Z") }));
      expect(hash({ config: { a: 1, b: [{ c: 1, d: 2 }] } })).to.equal(hash({ config: { b: [{ d: 2, c: 1 }], a: 1 } }));
    });
    it("is another for another wish", () => {
      const all = [
        {},
        { args: ["a"] },
        { args: ["a", "b"] },
        { args: ["b", "a"] },
        { env: { a: "b" } },
        { config: {} },
        { config: null },
        { config: [] },
        { stopGraceSeconds: 5 },
        { imagePullPolicy: "always" },
        { imagePullPolicy: "never" },
        { restartedAt: "2026-01-31T12:00:00Z" },
        { restartedAt: "2026-01-31T12:00:01Z" },
        { image: "nginx:1.28" },
      ];
      expect(new Set(all.map(hash)).size).to.equal(all.length);
    });
  });

  it("finds ten valid bots and one invalid in examples/bots.yaml", () => {
    const plan = planApply("bots.yaml", readFileSync(new URL("../../../examples/bots.yaml", import.meta.url), "utf8"), readFound);
    expect(plan.bots).to.have.lengthOf(10);
    expect(plan.warnings).to.deep.equal([]);
    expect(plan.faults).to.deep.equal([
      'bots.yaml: document 11, broken: resources.memory: has the unknown unit "MB" (Kubernetes writes Mi or M), got "256MB": write memory: "512Mi"',
    ]);
  });
});
