import { expect } from "chai";
import { Due } from "../../../src/process/due.ts";

describe("process/due Due", () => {
  it("does what is due once, and nothing where nothing is", async () => {
    const due = new Due<string>();
    const done: (readonly string[])[] = [];
    const act = async (items: readonly string[]): Promise<void> => void done.push(items);
    due.add(["a", "b", "a"]);
    await due.take(act);
    await due.take(act);
    expect(done).to.deep.equal([["a", "b"]]);
  });

  it("takes no more than it may, the first first", async () => {
    const due = new Due<string>();
    due.add(["a", "b", "c"]);
    await due.take(async (items) => expect(items).to.deep.equal(["a", "b"]), 2);
    expect(due.size).to.equal(1);
  });

  it("keeps what is asked for again while it is done", async () => {
    const due = new Due<string>();
    due.add(["a"]);
    await due.take(async () => due.add(["a"]));
    expect(due.size).to.equal(1);
  });

  it("keeps what fails", async () => {
    const due = new Due<string>();
    due.add(["a"]);
    const fault = await due.take(() => Promise.reject(new Error("no"))).catch((error: unknown) => error);
    expect([String(fault), due.size]).to.deep.equal(["Error: no", 1]);
  });
});
