import { expect } from "chai";
import { judgeRights, rightsFor, scalingRights } from "../../../src/doctor/cluster-checks.ts";
import { judgeAddresses, judgeCgroup, judgeStorage } from "../../../src/doctor/engine-checks.ts";
import { type FenceLook, judgeFence } from "../../../src/doctor/fence-checks.ts";
import type { Said, Verdict } from "../../../src/doctor/finding.ts";
import type { EngineGround, EngineInfo, Privilege, StoreProbe, Tick } from "../../../src/doctor/ports.ts";
import { storeChecks } from "../../../src/doctor/store-checks.ts";
import { at } from "../../support/builders.ts";

type Case = { readonly why: string; readonly verdict: Verdict; readonly says: string };

function expectSaid({ verdict, what, fix }: Said, { verdict: wanted, says }: Case): void {
  expect([verdict, what]).to.satisfy(([is, text]: [string, string]) => is === wanted && text.includes(says), `${verdict}: ${what}`);
  expect(fix !== undefined, "a fix stands where there is something to mend").to.equal(verdict !== "ok");
}

const anEngine = (over: Partial<EngineInfo> = {}): EngineInfo => ({
  storageDriver: "overlay2",
  cgroupDriver: "cgroupfs",
  cgroupVersion: "2",
  liveRestore: false,
  missingLimits: [],
  ...over,
});
const aGround = (over: Partial<EngineGround> = {}): { readonly ground: EngineGround } => ({
  ground: { cgroup: { version: "v2", parent: "/kubepods/a/bots" }, denied: ["169.254.0.0/16", "10.0.0.0/8"], ports: [8080], ...over },
});

describe("judgeStorage()", () => {
  for (const { info, isFenced, ...one } of [
    { why: "overlay", info: anEngine(), isFenced: true, verdict: "ok", says: "overlay2" },
    { why: "whole copies", info: anEngine({ storageDriver: "vfs" }), isFenced: true, verdict: "warn", says: "vfs" },
    { why: "bots that outlive dockerd", info: anEngine({ liveRestore: true }), isFenced: true, verdict: "warn", says: "live-restore" },
    { why: "the same where there is no fence", info: anEngine({ liveRestore: true }), isFenced: false, verdict: "ok", says: "overlay2" },
  ] as const)
    it(`${one.verdict}: ${one.why}`, () => expectSaid(judgeStorage(info, isFenced), one));
});

describe("judgeCgroup()", () => {
  for (const { info = {}, behind, ...one } of [
    { why: "bots below the pod's", behind: aGround(), verdict: "ok", says: "bots lie below /kubepods/a/bots" },
    { why: "no fence", behind: undefined, verdict: "ok", says: "where the Engine puts them" },
    { why: "an older fence", behind: { ground: undefined }, verdict: "warn", says: "does not say" },
    {
      why: "bots who knows where",
      behind: aGround({ cgroup: { version: "v2", why: "read-only" } }),
      verdict: "warn",
      says: "maybe outside the pod's limits: read-only",
    },
    { why: "rootless without limits", info: { cgroupDriver: "none" }, behind: undefined, verdict: "fail", says: "no limit" },
    { why: "a controller is missing", info: { missingLimits: ["pids", "cpu"] }, behind: aGround(), verdict: "fail", says: "pids, cpu" },
  ] as const)
    it(`${one.verdict}: ${one.why}`, () => expectSaid(judgeCgroup(anEngine(info), behind), one));
});

describe("judgeAddresses()", () => {
  for (const { behind, port = 8080, ...one } of [
    { why: "all is forbidden", behind: aGround(), verdict: "ok", says: "169.254.0.0/16, 10.0.0.0/8, port 8080" },
    { why: "no fence", behind: undefined, verdict: "warn", says: "169.254.0.0/16" },
    { why: "nothing known yet", behind: { ground: undefined }, verdict: "warn", says: "does not say" },
    { why: "credentials within reach", behind: aGround({ denied: [] }), verdict: "fail", says: "169.254.0.0/16" },
    { why: "our own port within reach", behind: aGround(), port: 9090, verdict: "warn", says: "port 9090" },
    { why: "any port will do", behind: aGround(), port: 0, verdict: "ok", says: "10.0.0.0/8" },
  ] as const)
    it(`${one.verdict}: ${one.why}`, () => expectSaid(judgeAddresses(behind, port), one));
});

describe("judgeFence()", () => {
  const aTick = (now: number, over: Partial<Tick> = {}): Tick => ({ now: at(now), bootId: "boot", state: "up", trips: 0, ...over });
  const aLook = (over: Partial<FenceLook> = {}): FenceLook => ({
    dir: "/run/f",
    bootId: "boot",
    before: aTick(9_000),
    after: aTick(9_900),
    now: at(10_000),
    isMemory: true,
    ...over,
  });
  for (const { look, ...one } of [
    { why: "it ticks", look: aLook(), verdict: "ok", says: "0.1 s ago" },
    { why: "no tick", look: aLook({ before: undefined, after: undefined }), verdict: "fail", says: '"/run/f"' },
    { why: "its first tick came meanwhile", look: aLook({ before: undefined }), verdict: "ok", says: "ticks" },
    { why: "another machine's", look: aLook({ after: aTick(9_900, { bootId: "x" }) }), verdict: "fail", says: "another boot" },
    { why: "it stands still", look: aLook({ before: aTick(2_000), after: aTick(2_000) }), verdict: "fail", says: "for 8 s" },
    { why: "its clock is behind", look: aLook({ after: aTick(8_999) }), verdict: "fail", says: "1 s behind" },
    { why: "its clock is ahead", look: aLook({ after: aTick(15_000) }), verdict: "fail", says: "5 s ahead of" },
    { why: "as far apart as is borne", look: aLook({ before: aTick(8_000), after: aTick(9_000) }), verdict: "ok", says: "1 s ago" },
    { why: "no lease", look: aLook({ after: aTick(9_900, { state: "down" }) }), verdict: "warn", says: "holds the Engine down" },
    { why: "it kills", look: aLook({ after: aTick(9_900, { state: "killing" }) }), verdict: "warn", says: "is killing" },
    { why: "on a disk", look: aLook({ isMemory: false }), verdict: "warn", says: "not in memory" },
    { why: "it has struck", look: aLook({ after: aTick(9_900, { trips: 2 }) }), verdict: "ok", says: "struck 2 times" },
  ] as const)
    it(`${one.verdict}: ${one.why}`, () => expectSaid(judgeFence(look), one));
});

describe("judgeRights()", () => {
  const place = { namespace: "ns", deployment: "d", configMap: "c", base: {} as never };
  const [needed, scale] = [rightsFor(place), scalingRights("d")];
  const without = (verb: string, resource: string) => needed.filter((r) => r.verb !== verb || r.resource !== resource);
  for (const { mode, may, ...one } of [
    { why: "all there", mode: "native", may: [...needed, ...scale], verdict: "ok", says: "23 rights" },
    { why: "no right to scale, and none is needed", mode: "keda", may: needed, verdict: "ok", says: "20 rights" },
    { why: "a right to scale beside another scaler", mode: "keda", may: [...needed, ...scale], verdict: "warn", says: "may scale" },
    { why: "reading the scale alone", mode: "none", may: [...needed, ...scale.slice(0, 1)], verdict: "ok", says: "20 rights" },
    { why: "cannot scale", mode: "native", may: needed, verdict: "fail", says: 'update deployments/scale "d"' },
    { why: "one verb is missing", mode: "none", may: without("patch", "pods"), verdict: "fail", says: "may not patch pods" },
  ] as const)
    it(`${one.verdict}: ${one.why}`, () => expectSaid(judgeRights({ mode, place, may }, "a role"), one));

  it("asks for nothing of a ConfigMap that there is not", () => {
    expect(rightsFor({ ...place, configMap: undefined }).map(({ resource }) => resource)).to.not.include("configmaps");
  });
});

describe("storeChecks()", () => {
  const everything: Privilege = { resource: { db: "", collection: "" }, actions: ["find", "insert", "update", "remove", "createIndex"] };
  const aStore = (over: Partial<StoreProbe> = {}): StoreProbe => ({
    server: async () => ({ version: "8", replicaSet: "rs", isRouter: false }),
    collections: async () => [],
    may: async () => true,
    grants: async () => ({ user: "u", privileges: [everything] }),
    majorityMs: async () => 12.4,
    streams: async () => ({ by: "database" }),
    ...over,
  });
  const look = async (name: string, store: StoreProbe): Promise<Said> => {
    const check = storeChecks(store, { dbName: "db", collectionName: "bots" }).find((one) => one.name === name);
    return (await check?.look(new AbortController().signal)) ?? { verdict: "fail", what: "no such check" };
  };
  const granted = (...privileges: Privilege[]): Partial<StoreProbe> => ({ grants: async () => ({ user: "u", privileges }) });
  const only = (actions: string[], resource: Privilege["resource"]): Privilege => ({ resource, actions });
  const all = everything.actions as string[];
  const owned = ["control", "placements", "segments", "workers", "fleet", "status", "runs"];

  const cases: readonly (Case & { readonly check: string; readonly store: Partial<StoreProbe> })[] = [
    { check: "mongodb", why: "a replica set", store: {}, verdict: "ok", says: 'replica set "rs"' },
    {
      check: "mongodb",
      why: "a server alone",
      store: { server: async () => ({ version: "8", replicaSet: undefined, isRouter: false }) },
      verdict: "warn",
      says: "stands alone",
    },
    {
      check: "mongodb",
      why: "a router",
      store: { server: async () => ({ version: "8", replicaSet: undefined, isRouter: true }) },
      verdict: "ok",
      says: "sharded",
    },
    { check: "mongodb-bots", why: "readable", store: {}, verdict: "ok", says: "db.bots" },
    { check: "mongodb-bots", why: "not readable", store: { may: async () => false }, verdict: "fail", says: "may not read" },
    { check: "mongodb-runtime", why: "all rights everywhere", store: {}, verdict: "ok", says: '"u" may write' },
    {
      check: "mongodb-runtime",
      why: "rights by collection",
      store: granted(...owned.map((name) => only(all, { db: "db", collection: `runtime.${name}` }))),
      verdict: "ok",
      says: '"u"',
    },
    { check: "mongodb-runtime", why: "root", store: granted(only(["anyAction"], { anyResource: true })), verdict: "ok", says: '"u"' },
    {
      check: "mongodb-runtime",
      why: "one action is not granted",
      store: granted(only(["find", "update", "remove", "createIndex"], { db: "db", collection: "" })),
      verdict: "fail",
      says: "may not insert runtime.control, insert runtime.placements",
    },
    {
      check: "mongodb-runtime",
      why: "granted on another database",
      store: granted(only(all, { db: "other", collection: "" })),
      verdict: "fail",
      says: "find runtime.control",
    },
    {
      check: "mongodb-runtime",
      why: "refused when tried, whatever was told",
      store: { may: async (collection, act) => !(collection === "runtime.runs" && act === "remove") },
      verdict: "fail",
      says: "may not remove runtime.runs",
    },
    { check: "mongodb-runtime", why: "a server that tells no rights", store: granted(), verdict: "ok", says: "does not tell" },
    {
      check: "mongodb-runtime",
      why: "nobody is asked for a name",
      store: { grants: async () => ({ user: undefined, privileges: [] }) },
      verdict: "warn",
      says: "anybody",
    },
    { check: "mongodb-majority", why: "acknowledged", store: {}, verdict: "ok", says: "12 ms" },
    { check: "mongodb-changes", why: "one for all", store: {}, verdict: "ok", says: "one change stream" },
    {
      check: "mongodb-changes",
      why: "one for each",
      store: { streams: async () => ({ by: "collections" }) },
      verdict: "ok",
      says: "each collection",
    },
    {
      check: "mongodb-changes",
      why: "none",
      store: { streams: async () => ({ by: "none", why: "no replica set" }) },
      verdict: "warn",
      says: "no replica set",
    },
  ];
  it("asks for an update only where a collection is there already: some servers make one otherwise", async () => {
    const asked: string[] = [];
    const may = async (collection: string, act: string): Promise<true> => {
      if (act === "update") asked.push(collection);
      return true;
    };
    await look("mongodb-runtime", aStore({ may, collections: async () => ["bots", "runtime.runs"] }));
    expect(asked).to.deep.equal(["runtime.runs"]);
  });

  for (const { check, store, ...one } of cases)
    it(`${check} is ${one.verdict}: ${one.why}`, async () => expectSaid(await look(check, aStore(store)), one));
});
