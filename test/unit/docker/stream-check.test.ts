import { expect } from "chai";
import type { Container } from "../../../src/core/containers.ts";
import type { ContainerId } from "../../../src/core/ids.ts";
import { StreamCheck } from "../../../src/docker/stream-check.ts";
import { aContainer } from "../../support/builders.ts";

const id = (name: string): ContainerId => name as ContainerId;
/** `x:running y:exited`: a list; `x.die`: an event. */
const listOf = (text: string): Container[] =>
  text.split(" ").flatMap((word) => {
    const [name = "", state] = word.split(":");
    return state === undefined ? [] : [aContainer({ id: id(name), state: state as Container["state"] })];
  });

describe("StreamCheck", () => {
  let check: StreamCheck;
  const tell = (events: string): void => {
    for (const word of events.split(" ").filter((w) => w !== "")) {
      const [name = "", action = ""] = word.split(".");
      check.tell(id(name), action);
    }
  };
  const list = (text: string): string => {
    const missing = check.compare(check.ask(), listOf(text));
    return missing.map((m) => `${m.id}${m.stage}`).join(" ");
  };
  beforeEach(() => {
    check = new StreamCheck();
    check.open();
  });

  for (const { why, first, events, second, gives } of [
    { why: "nothing happened", first: "x:running", events: "", second: "x:running", gives: "" },
    { why: "a start was told", first: "", events: "x.start", second: "x:running", gives: "" },
    { why: "a start was not told", first: "", events: "", second: "x:running", gives: "x1" },
    { why: "a container that waited was started", first: "x:created", events: "", second: "x:running", gives: "x1" },
    { why: "an end was told", first: "x:running", events: "x.die", second: "x:exited", gives: "" },
    { why: "an end was not told", first: "x:running", events: "", second: "x:exited", gives: "x2" },
    { why: "a whole life of which only the begin was told", first: "", events: "x.start", second: "x:exited", gives: "x2" },
    { why: "a removal was told", first: "x:exited", events: "x.die x.destroy", second: "", gives: "" },
    { why: "a removal was not told", first: "x:exited", events: "x.die", second: "", gives: "x3" },
    { why: "a creation makes no event", first: "", events: "", second: "x:created", gives: "" },
    { why: "a removal that is under way has told nothing yet", first: "x:exited", events: "", second: "x:removing", gives: "" },
    {
      why: "another container's event is no excuse",
      first: "x:running y:running",
      events: "y.die",
      second: "x:exited y:exited",
      gives: "x2",
    },
    { why: "more was told than is shown yet", first: "x:running", events: "x.die x.destroy", second: "x:exited", gives: "" },
    {
      why: "it was started again by hand, and its second end was not told",
      first: "x:running",
      events: "x.die x.start",
      second: "x:exited",
      gives: "x2",
    },
  ]) {
    it(`${gives === "" ? "is content" : `misses ${gives}`}: ${why}`, () => {
      list(first);
      tell(events);
      expect(list(second)).to.equal(gives);
    });
  }

  it("is content with an event that comes before a list in which it does not show yet", () => {
    list("x:running");
    tell("x.die");
    expect([list("x:running"), list("x:exited"), list("x:exited")]).to.deep.equal(["", "", ""]);
  });

  it("finds what it missed brought after all", () => {
    list("x:running");
    const missing = check.compare(check.ask(), listOf("x:exited"));
    expect(check.lacking(missing)).to.have.lengthOf(1);
    tell("x.die");
    expect(check.lacking(missing)).to.deep.equal([]);
  });

  it("asks a new stream for nothing that happened before it", () => {
    list("x:running");
    check.open();
    expect(list("x:exited y:running")).to.equal("");
    expect(list("y:running")).to.equal("x3");
  });

  it("concludes nothing from a list that was asked for before the stream was open, or that is older than the last one", () => {
    const early = check.ask();
    check.open();
    expect(check.compare(early, listOf("x:running"))).to.deep.equal([]);
    expect(list("")).to.equal("");
    const [older, newer] = [check.ask(), check.ask()];
    tell("x.start x.die x.destroy");
    expect(check.compare(newer, listOf(""))).to.deep.equal([]);
    expect(check.compare(older, listOf("y:running"))).to.deep.equal([]);
    expect(list("")).to.equal("");
  });
});
