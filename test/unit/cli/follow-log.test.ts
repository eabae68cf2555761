import { expect } from "chai";
import { followLog } from "../../../src/cli/follow-log.ts";
import type { BotLogs, ContainerLog, UserBots } from "../../../src/cli/ports.ts";
import { unseenOf } from "../../../src/cli/unseen.ts";
import { EngineUnreachableError, StoreUnreachableError } from "../../../src/core/errors.ts";
import type { RunRecord, StatusRecord } from "../../../src/core/records.ts";
import { createBotReader } from "../../../src/document/read-bot.ts";
import { bot } from "../../support/builders.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const read = createBotReader({ maxStopGraceSeconds: 60 });
const hash = () => {
  const reading = read({ raw: { kind: "string", value: "a" }, document: { image: "x" } });
  return reading.kind === "valid" ? reading.hash : undefined;
};
const run = (_id: string, log: string, over: Partial<RunRecord> = {}) =>
  ({ _id, log, exit: 1, oom: "no", endedWhy: "crashed", ...over }) as RunRecord;
type Container = { readonly id: string; readonly follow: ContainerLog["follow"] };
const says = (id: string, text: string, how: "ended" | "gone" = "ended"): Container => ({
  id,
  async follow(write) {
    if (text !== "") await write(Buffer.from(text));
    return how;
  },
});

/** The world at each look for the bot's container; the last one stays. */
type Look = { readonly container?: Container; readonly runs?: readonly RunRecord[]; readonly fault?: Error; readonly storeFault?: Error };
type World = {
  readonly looks: readonly Look[];
  readonly document?: object | null;
  readonly status?: object;
  readonly stop?: AbortController;
};

async function follow(tail: number, { looks, document = { image: "x", enabled: false }, status, stop = new AbortController() }: World) {
  const clock = new FakeClock();
  const out = { text: "", notes: [] as string[], tails: [] as (number | undefined)[] };
  let at = -1;
  const now = (): Look => looks[Math.min(Math.max(at, 0), looks.length - 1)] as Look;
  const ask = <T>(answer: T): T => {
    const { storeFault } = now();
    if (storeFault !== undefined) throw storeFault;
    return answer;
  };
  const bots: Partial<UserBots> = {
    runs: async (_id, limit) => ask((now().runs ?? []).slice(0, limit)),
    getBot: async () =>
      ask(document === null ? [] : [{ raw: { kind: "string", value: "a" }, document: document as Record<string, unknown> }]),
    status: async () => ask(status as StatusRecord | undefined),
  };
  const logs: BotLogs = {
    async find() {
      at++;
      const { container, fault } = now();
      if (fault !== undefined) throw fault;
      if (container === undefined) return undefined;
      return {
        id: container.id,
        open(lines) {
          out.tails.push(lines);
          return { follow: container.follow };
        },
      };
    },
    close: () => {},
  };
  const write = async (text: Buffer): Promise<void> => void (out.text += text.toString());
  const note = (lines: readonly string[]): void => void out.notes.push(...lines);
  let ended: unknown;
  void followLog(bot("a"), tail, { bots: bots as UserBots, logs, read, clock, note, write, signal: stop.signal }).then(
    () => (ended = "ended"),
    (error: unknown) => (ended = error),
  );
  const passTime = async (left: number): Promise<void> =>
    ended !== undefined || left === 0 ? undefined : clock.advance(250).then(() => passTime(left - 1));
  await passTime(500);
  return { ...out, ended };
}

describe("followLog()", () => {
  const one = says("c1", "1\n");
  const [r1, r2, r3] = [run("c1", "1\n"), run("c2", "2\n"), run("c3", "3\n", { exit: 137, oom: "oom" })];

  it("goes on with the next container and ends with a disabled bot", async () =>
    expect(
      await follow(5, { looks: [{ container: one, runs: [r1] }, { container: says("c2", "2\n"), runs: [r2, r1] }, { runs: [r2, r1] }] }),
    ).to.deep.equal({
      text: "1\n2\n",
      tails: [5, undefined],
      notes: [
        "--- container c1 ended with exit 1 (crashed)",
        "--- container c2",
        "--- container c2 ended with exit 1 (crashed)",
        "--- no more output: the bot is disabled",
      ],
      ended: "ended",
    }));

  const ends: readonly { why: string; document?: object | null; status?: object; says: string }[] = [
    { why: "a deleted bot", document: null, says: "the bot is deleted" },
    { why: "a completed bot", document: { image: "x" }, status: { state: "completed", spec: hash() }, says: "the bot has completed" },
    { why: "a failed bot", document: { image: "x" }, status: { state: "failed", spec: hash() }, says: "the bot has failed" },
  ];
  for (const { why, says, ...world } of ends)
    it(`ends: ${why}`, async () =>
      expect((await follow(5, { ...world, looks: [{ container: one, runs: [r1] }, { runs: [r1] }] })).notes.at(-1)).to.equal(
        `--- no more output: ${says}`,
      ));

  for (const { why, document, status } of [
    { why: "in back-off", document: { image: "x" }, status: { state: "backoff", spec: hash() } },
    { why: "completed under another document", document: { image: "x" }, status: { state: "completed", spec: "old" } },
    { why: "invalid", document: { image: "X" }, status: undefined },
  ])
    it(`waits for a bot that is ${why}`, async () =>
      expect((await follow(5, { document, ...(status && { status }), looks: [{}] })).ended).to.equal(undefined));

  it("shows the last run where there is no container", async () => {
    const { text, notes } = await follow(1, { looks: [{ runs: [run("c0", "a\nb\n")] }] });
    expect({ text, note: notes[0] }).to.deep.equal({ text: "b\n", note: "--- no container: container c0 ended with exit 1 (crashed)" });
  });
  it("refuses a bot that never was", async () =>
    expect((await follow(1, { document: null, looks: [{}] })).ended).to.include({ exitCode: 66 }));

  it("shows runs that came and went between two looks, the oldest first", async () => {
    const { text, notes } = await follow(5, { looks: [{ container: one, runs: [r1] }, { runs: [r3, r2, r1] }] });
    expect(text).to.equal("1\n2\n3\n");
    expect(notes)
      .to.include("--- container c2, as recorded")
      .and.to.include("--- container c3 ended with exit 137, out of memory (crashed)");
  });
  it("shows no run of before", async () => expect((await follow(5, { looks: [{ runs: [r3, r2, r1] }] })).text).to.equal("3\n"));
  it("takes the last lines of a container that was removed too soon from its run's record", async () => {
    const looks = [{ runs: [] }, { container: says("c1", "a\nb\n", "gone"), runs: [run("c1", "a\nb\nc\n")] }, {}];
    expect((await follow(5, { looks })).text).to.equal("a\nb\nc\n");
  });
  it("does not wait for ever for a record", async () => {
    const { notes, ended } = await follow(5, { looks: [{ container: one }, {}] });
    expect([notes[0], ended]).to.deep.equal(["--- container c1 has ended", "ended"]);
  });

  it("waits for an Engine that is away and says so once, and that it is back", async () => {
    const fault = new EngineUnreachableError("Cannot look");
    const { text, notes } = await follow(5, { looks: [{ fault }, { fault }, { container: one, runs: [r1] }, { runs: [r1] }] });
    expect(text).to.equal("1\n");
    expect(notes.slice(0, 2)).to.deep.equal(["--- Cannot look: trying again", "--- the Docker Engine answers again"]);
  });
  it("goes on with the same log after an outage in its midst", async () => {
    let calls = 0;
    const broken: Container = {
      id: "c1",
      async follow(write) {
        await write(Buffer.from(`${++calls}\n`));
        if (calls === 1) throw new EngineUnreachableError("Cannot follow");
        return "ended";
      },
    };
    const { text, tails, notes } = await follow(5, {
      looks: [{ container: broken, runs: [r1] }, { container: broken, runs: [r1] }, { runs: [r1] }],
    });
    expect({ text, tails }).to.deep.equal({ text: "1\n2\n", tails: [5] });
    expect(notes.slice(0, 2)).to.deep.equal(["--- Cannot follow: trying again", "--- the Docker Engine answers again"]);
  });
  it("follows what runs while MongoDB is away", async () => {
    const storeFault = new StoreUnreachableError("Cannot read runs");
    const { text, notes } = await follow(5, {
      looks: [{ container: one, runs: [r1] }, { container: says("c2", "2\n"), storeFault }, { runs: [r2, r1] }],
    });
    expect(text).to.equal("1\n2\n");
    expect(notes).to.include("--- Cannot read runs: trying again").and.to.include("--- MongoDB answers again");
  });
  it("ends without a fault when it is told to", async () => {
    const stop = new AbortController();
    const endless: Container = {
      id: "c1",
      follow: (_write, signal) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason as Error));
          stop.abort(new Error("SIGINT"));
        }),
    };
    expect((await follow(5, { stop, looks: [{ container: endless }] })).ended).to.equal("ended");
  });
  it("passes a mistake on", async () =>
    expect((await follow(5, { looks: [{ fault: new TypeError("x") }] })).ended).to.be.instanceOf(TypeError));
});

describe("unseenOf()", () => {
  for (const { why, seen, record, isWhole, gives } of [
    { why: "all was seen", seen: "a\nb\n", record: "b\n", isWhole: true, gives: "" },
    { why: "the last line was not", seen: "a\nb\n", record: "a\nb\nc\n", isWhole: true, gives: "c\n" },
    { why: "the record begins in what was seen", seen: "a\nb\n", record: "b\nc\n", isWhole: true, gives: "c\n" },
    { why: "nothing was seen", seen: "", record: "a\n", isWhole: true, gives: "a\n" },
    { why: "nothing in common", seen: "x\n", record: "a\n", isWhole: true, gives: "a\n" },
    { why: "equal lines are counted from the start", seen: "a\na\n", record: "a\na\na\n", isWhole: true, gives: "a\n" },
    { why: "no record", seen: "a\n", record: "", isWhole: true, gives: "" },
    { why: "watched from the middle on", seen: "b\n", record: "a\nb\nc\n", isWhole: false, gives: "c\n" },
    { why: "watched, and nothing came", seen: "", record: "a\nb\n", isWhole: false, gives: "" },
    { why: "watched longer than the record knows", seen: "a\nb\nc\n", record: "c\nd\n", isWhole: false, gives: "d\n" },
  ])
    it(why, () => expect(unseenOf(Buffer.from(seen), Buffer.from(record), isWhole).toString()).to.equal(gives));
});
