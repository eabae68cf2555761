import { expect } from "chai";
import { type Check, type Finding, groupOf, ok, type Said, warn, worstOf } from "../../../src/doctor/finding.ts";
import { runChecks } from "../../../src/doctor/run-checks.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const aCheck = (name: string, look: (signal: AbortSignal) => Promise<Said>, after?: string): Check => ({
  name,
  mend: `mend ${name}`,
  look,
  ...(after !== undefined && { after }),
});
const fine = async (): Promise<Said> => ok("fine");
const never = (): Promise<Said> => new Promise(() => {});

describe("runChecks()", () => {
  let clock: FakeClock;
  beforeEach(() => {
    clock = new FakeClock();
  });
  const run = (...checks: Check[]): Promise<Finding[]> => runChecks(checks, { clock, limitMs: 10_000 });

  it("gives what was found in the order of the checks, whatever ends first", async () => {
    const slow = Promise.withResolvers<Said>();
    const found = run(
      aCheck("slow", () => slow.promise),
      aCheck("quick", fine),
    );
    slow.resolve(warn("late", "wait"));
    expect(await found).to.deep.equal([
      { check: "slow", verdict: "warn", what: "late", fix: "wait" },
      { check: "quick", verdict: "ok", what: "fine" },
    ]);
  });

  it("begins all of them at once and ends with the limit: one that hangs holds nobody", async () => {
    const begun: string[] = [];
    const hung = (name: string) =>
      aCheck(name, () => {
        begun.push(name);
        return never();
      });
    const found = run(hung("a"), hung("b"), aCheck("c", fine));
    await clock.advance(0);
    expect(begun).to.deep.equal(["a", "b"]);
    await clock.advance(10_000);
    expect((await found).map(({ check, verdict, what, fix }) => [check, verdict, what, fix])).to.deep.equal([
      ["a", "fail", "no answer within 10 s", "mend a"],
      ["b", "fail", "no answer within 10 s", "mend b"],
      ["c", "ok", "fine", undefined],
    ]);
  });

  it("tells a check that it is late", async () => {
    let late: AbortSignal | undefined;
    const found = run(
      aCheck("a", (signal) => {
        late = signal;
        return never();
      }),
    );
    await clock.advance(9_999);
    expect(late?.aborted).to.equal(false);
    await clock.advance(1);
    await found;
    expect(late?.aborted).to.equal(true);
  });

  it("leaves no timer behind", async () => {
    await run(aCheck("a", fine));
    expect(clock.sleeping).to.equal(0);
  });

  for (const { why, error, what } of [
    { why: "with its causes", error: new Error("Cannot ask", { cause: new Error("refused") }), what: "Cannot ask: refused" },
    { why: "once, where a cause says the same", error: new Error("refused", { cause: new Error("refused") }), what: "refused" },
    { why: "that is no error", error: "odd", what: "odd" },
  ])
    it(`turns a fault into a finding, ${why}`, async () => {
      expect(await run(aCheck("a", async () => Promise.reject(error)))).to.deep.equal([
        { check: "a", verdict: "fail", what, fix: "mend a" },
      ]);
    });

  it("does not look where something needed failed, and says so", async () => {
    let looks = 0;
    const found = await run(
      aCheck("a", async () => Promise.reject(new Error("away"))),
      aCheck("b", async () => ok(`look ${++looks}`), "a"),
      aCheck("c", fine, "not chosen"),
    );
    expect(looks).to.equal(0);
    expect(found.slice(1)).to.deep.equal([
      { check: "b", verdict: "warn", what: "not looked at, for a failed", fix: "mend a first" },
      { check: "c", verdict: "ok", what: "fine" },
    ]);
  });

  it("counts the limit of a check from its own beginning", async () => {
    const first = Promise.withResolvers<Said>();
    const second = Promise.withResolvers<Said>();
    const found = run(
      aCheck("a", () => first.promise),
      aCheck("b", () => second.promise, "a"),
    );
    await clock.advance(9_000);
    first.resolve(ok("at last"));
    await clock.advance(9_000);
    second.resolve(ok("at last, too"));
    expect((await found).map(({ verdict }) => verdict)).to.deep.equal(["ok", "ok"]);
  });
});

describe("findings", () => {
  it("are as bad as the worst of them", () => {
    const [good, doubtful] = [ok(""), warn("", "")];
    expect(worstOf([])).to.equal("ok");
    expect(worstOf([good, doubtful])).to.equal("warn");
    expect(worstOf([doubtful, { verdict: "fail", what: "" }, good])).to.equal("fail");
  });

  it("belong to the group that their check's name begins with", () => {
    expect(["mongodb", "mongodb-bots", "docker-cgroup"].map(groupOf)).to.deep.equal(["mongodb", "mongodb", "docker"]);
  });
});
