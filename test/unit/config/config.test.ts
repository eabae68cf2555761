import { expect } from "chai";
import * as fc from "fast-check";
import { describeConfig, parseConfig, type ConfigSources } from "../../../src/config.ts";
import { redactMongoUri } from "../../../src/config/redact.ts";
import { ConfigurationError } from "../../../src/core/errors.ts";
import { generatedDocs } from "../../support/generated-docs.ts";

const files: Readonly<Record<string, string>> = {
  "/run/uri": "mongodb://u:secret@db\n",
  "/run/empty": "\n",
  "/run/token": "tok\r\n",
  "/run/ca.pem": "pem",
};
const sources: ConfigSources = {
  inCluster: false,
  hostName: "host-1",
  uid: 0,
  home: "/home/me",
  readFile: (path) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error("no"), { code: "ENOENT" });
    return text;
  },
};
const uri = "mongodb://mongo:27017";

function faultsOf(env: Record<string, string>, more: ConfigSources = {}): string {
  try {
    parseConfig(env, { ...sources, ...more });
    return "";
  } catch (error) {
    expect(error).to.be.instanceOf(ConfigurationError);
    return (error as Error).message;
  }
}

const faultCases: readonly { why: string; env: Record<string, string>; says: readonly string[]; more?: ConfigSources }[] = [
  {
    why: "several faults in one message",
    env: { MONGO_URI: "x", MAX_SEGMENT: "0", MIN_REPLICAS: "5", MAX_REPLICAS: "2" },
    says: [
      "3 faults",
      'MONGO_URI: must start with mongodb:// or mongodb+srv:// and name a host, got "x": set it to mongodb://mongo:27017',
      'MAX_SEGMENT: must be a whole number from 1 to 100000, got "0": set it to 64',
      'MIN_REPLICAS: must be at most MAX_REPLICAS (2), got "5": lower MIN_REPLICAS or raise MAX_REPLICAS',
    ],
  },
  { why: "no MongoDB", env: {}, says: ["MONGO_URI: is required, got nothing: set it to mongodb://mongo:27017"] },
  { why: "an empty variable is unset", env: { MONGO_URI: "" }, says: ["MONGO_URI: is required"] },
  {
    why: "a cluster needs three more",
    env: { MONGO_URI: uri, COORDINATION: "single" },
    more: { inCluster: true },
    says: ["3 faults", "POD_NAME: is required in a cluster", "NAMESPACE: is required", "MAX_SEGMENT: is required"],
  },
  {
    why: "the pods of a Deployment need a fence and their UID",
    env: { MONGO_URI: uri, POD_NAME: "a", NAMESPACE: "b", MAX_SEGMENT: "4" },
    more: { inCluster: true },
    says: [
      "2 faults",
      "FENCE_DIR: is required with COORDINATION=kubernetes (the default inside a cluster), got nothing: set it to the directory",
      "POD_UID: is required with COORDINATION=kubernetes (the default inside a cluster), got nothing: set it to metadata.uid",
    ],
  },
  {
    why: "several processes need a fence",
    env: { MONGO_URI: uri, COORDINATION: "mongo" },
    says: ["FENCE_DIR: is required with COORDINATION=mongo, got nothing: set it to"],
  },
  {
    why: "a word that is none",
    env: { MONGO_URI: uri, LOG_LEVEL: "loud" },
    says: ['LOG_LEVEL: must be error, warn, info or debug, got "loud": set it to info'],
  },
  {
    why: "neither true nor false",
    env: { MONGO_URI: uri, ENABLE_METRICS_ENDPOINT: "yes" },
    says: ["ENABLE_METRICS_ENDPOINT: must be true or false"],
  },
  { why: "our own collections", env: { MONGO_URI: uri, COLLECTION_NAME: "runtime.status" }, says: ["COLLECTION_NAME: must be"] },
  { why: "a password that stays hidden", env: { MONGO_URI: "mongodb://u:p@ss@h" }, says: ['got "mongodb://u:***@h"'] },
  {
    why: "a token that stays hidden",
    env: { MONGO_URI: uri, API_TOKEN: "with space" },
    says: ['API_TOKEN: must be visible ASCII characters without spaces (at most 4096), got "***"'],
  },
  {
    why: "a secret given twice",
    env: { MONGO_URI: uri, MONGO_URI_FILE: "/run/uri" },
    says: ["MONGO_URI_FILE: must not be set together with MONGO_URI"],
  },
  {
    why: "a secret's file that is away",
    env: { MONGO_URI_FILE: "/run/none" },
    says: ["1 fault\n", 'MONGO_URI_FILE: must name a readable file, got "/run/none" (ENOENT)'],
  },
  {
    why: "a secret's file without text",
    env: { MONGO_URI_FILE: "/run/empty" },
    says: ["MONGO_URI_FILE: must name a file with text in it"],
  },
  {
    why: "a certificate that is away",
    env: { MONGO_URI: uri, MONGO_TLS_CA_FILE: "/run/none" },
    says: ["MONGO_TLS_CA_FILE: must name a readable file"],
  },
  {
    why: "a fence before the stop",
    env: { MONGO_URI: uri, STOP_SECONDS: "7" },
    says: ['FENCE_SECONDS: must be over 7 (STOP_SECONDS), got "7"'],
  },
  {
    why: "sessions that end before the fence has struck",
    env: { MONGO_URI: uri, SESSION_END_SECONDS: "9" },
    says: ["SESSION_END_SECONDS: must be over 9.4 ("],
  },
  { why: "renewals too rare", env: { MONGO_URI: uri, RENEW_SECONDS: "2" }, says: ["SOFT_SECONDS: must be over 3.6 ("] },
];

describe("parseConfig()", () => {
  for (const { why, env, says, more } of faultCases) {
    it(`refuses: ${why}`, () => {
      const message = faultsOf(env, more);
      for (const part of says) expect(message).to.include(part);
      expect(message).to.not.match(/p@ss|with space|secret/);
    });
  }

  it("needs nothing but MongoDB outside a cluster", () => {
    const { config, origins, warnings } = parseConfig({ MONGO_URI: uri }, sources);
    expect(config).to.include({
      mongoUri: uri,
      podName: "host-1",
      namespace: "local",
      maxSegment: 64,
      coordination: "single",
      dbName: "bot_scheduler",
      collectionName: "bots",
    });
    expect(config).to.include({
      minReplicas: 3,
      maxReplicas: 40,
      scaleCheckIntervalSeconds: 15,
      scaleCooldownSeconds: 30,
      enableMetricsEndpoint: true,
      leaseLockName: "runtime",
    });
    expect(config).to.include({
      httpPort: 8080,
      stateDir: "/var/lib/bot-runner",
      scaler: "none",
      logFormat: "text",
      apiToken: undefined,
      maxStopGraceSeconds: 60,
    });
    expect(config).to.include({
      renewSeconds: 1,
      softSeconds: 3,
      stopSeconds: 5,
      fenceSeconds: 7,
      killSeconds: 1.5,
      sessionEndSeconds: 10,
    });
    expect([origins.MONGO_URI, origins.MAX_SEGMENT]).to.deep.equal(["environment", "default"]);
    expect(warnings).to.deep.equal([]);
    expect(Object.isFrozen(config)).to.equal(true);
  });
  it("doubles the timings for ci", () =>
    expect(parseConfig({ MONGO_URI: uri, TIMINGS: "ci" }, sources).config).to.include({
      renewSeconds: 2,
      sessionEndSeconds: 20,
      killSeconds: 3,
    }));
  it("works in a cluster when told that it is alone", () => {
    const { inCluster: _seen, ...outside } = sources;
    const { config } = parseConfig(
      { MONGO_URI: uri, COORDINATION: "single", POD_NAME: "p", NAMESPACE: "n", MAX_SEGMENT: "8", KUBERNETES_SERVICE_HOST: "10.0.0.1" },
      outside,
    );
    expect(config).to.include({ podName: "p", namespace: "n", maxSegment: 8, logFormat: "json" });
  });
  it("reads secrets from files", () => {
    const { config, origins } = parseConfig({ MONGO_URI_FILE: "/run/uri", API_TOKEN_FILE: "/run/token" }, sources);
    expect(config).to.include({ mongoUri: "mongodb://u:secret@db", apiToken: "tok" });
    expect(origins.MONGO_URI).to.equal("file");
  });
  it("keeps its state where the user may write", () => {
    expect(parseConfig({ MONGO_URI: uri }, { ...sources, uid: 1000 }).config.stateDir).to.equal("/home/me/.local/state/bot-runner");
    expect(parseConfig({ MONGO_URI: uri, XDG_STATE_HOME: "/x" }, { ...sources, uid: 1000 }).config.stateDir).to.equal("/x/bot-runner");
  });
  it("warns of misspellings and of nothing else", () => {
    const env = {
      MONGO_URI: uri,
      MAX_SEGMENTS: "3",
      MONGO_URL: "x",
      PATH: "/bin",
      HOME: "/",
      POD_IP: "1",
      HTTPS_PORT: "1",
      LANG: "C",
      DB_HOST: "x",
      TERM: "xterm",
    };
    const { warnings } = parseConfig(env, sources);
    expect(warnings).to.deep.equal([
      "MAX_SEGMENTS is not a setting of ours and has no effect: did you mean MAX_SEGMENT?",
      "MONGO_URL is not a setting of ours and has no effect: did you mean MONGO_URI?",
    ]);
  });
  it("warns of what has no effect yet, when somebody sets it", () =>
    expect(parseConfig({ MONGO_URI: uri, MIN_REPLICAS: "1", API_TOKEN: "x" }, sources).warnings).to.have.members([
      "API_TOKEN has no effect in this version",
      "MIN_REPLICAS has no effect unless COORDINATION=kubernetes",
    ]));
  it("warns of what only several processes need, where there is one", () => {
    const env = { MONGO_URI: uri, FENCE_DIR: "/run/x", SOFT_SECONDS: "3" };
    expect(parseConfig(env, sources).warnings).to.have.members([
      "FENCE_DIR has no effect with COORDINATION=single",
      "SOFT_SECONDS has no effect with COORDINATION=single",
    ]);
    expect(parseConfig({ ...env, COORDINATION: "mongo" }, sources).warnings).to.deep.equal([]);
  });
  it("either gives a config or a ConfigurationError, and never a secret", () =>
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom("MONGO_URI", "MAX_SEGMENT", "HTTP_PORT", "RENEW_SECONDS", "STATE_DIR", "TIMINGS", "DOCKER_HOST", "API_TOKEN"),
          fc.string(),
        ),
        (env) => {
          const message = faultsOf({ ...env, API_TOKEN: "hunter 2" });
          expect(message).to.include("API_TOKEN: must be");
          expect(message).to.not.include("hunter");
        },
      ),
    ));
});

describe("describeConfig()", () => {
  it("hides secrets and tells where values come from", () => {
    const rows = describeConfig(parseConfig({ MONGO_URI: "mongodb://u:secret@db", API_TOKEN: "secret", MAX_SEGMENT: "8" }, sources));
    const row = (name: string) => rows.find((r) => r.name === name);
    expect(row("MONGO_URI")).to.include({ value: "mongodb://u:***@db", origin: "environment" });
    expect(row("API_TOKEN")).to.include({ value: "***" });
    expect(row("MAX_SEGMENT")).to.include({ value: "8", origin: "environment" });
    expect(row("POD_UID")).to.include({ value: "", origin: "default" });
    expect(JSON.stringify(rows)).to.not.include("secret@");
  });
});

describe("redactMongoUri()", () => {
  for (const [given, gives] of [
    ["mongodb://h/db", "mongodb://h/db"],
    ["mongodb://u:p@h,i/db?w=1", "mongodb://u:***@h,i/db?w=1"],
    ["mongodb+srv://u:p@s:s/w@h/db", "mongodb+srv://u:***@h/db"],
    ["mongodb://u@h", "mongodb://u@h"],
    ["mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:x&tls=true", "mongodb://h/?authMechanismProperties=***&tls=true"],
    ["mongodb://h/?tls=true&tlsCertificateKeyFilePassword=x", "mongodb://h/?tls=true&tlsCertificateKeyFilePassword=***"],
    ["postgres://u:p@h", "postgres://***"],
    ["u:p@h", "***"],
    ["x", "x"],
  ] as const)
    it(`writes ${given} as ${gives}`, () => expect(redactMongoUri(given)).to.equal(gives));
});

describe("docs/", () => {
  for (const { name, is, shouldBe } of generatedDocs())
    it(`${name} says what the source says (else: npm run docs)`, () => expect(is).to.equal(shouldBe));
});
