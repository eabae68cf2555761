import { expect } from "chai";
import { Slots } from "../../../src/worker/slots.ts";
import { settle } from "../../support/fake-clock.ts";

describe("worker/slots", () => {
  let begun: string[];
  let finish: Map<string, () => void>;
  const ask = (slots: Slots<string>, group: string, name: string): Promise<void> =>
    slots.use(group, () => {
      begun.push(name);
      return new Promise((resolve) => finish.set(name, resolve));
    });

  beforeEach(() => {
    begun = [];
    finish = new Map();
  });

  it("never gives more than it has, in the order of asking", async () => {
    const slots = new Slots<string>(2);
    const all = ["a", "b", "c", "d"].map((name) => ask(slots, "one group", name));
    await settle();
    expect(begun).to.deep.equal(["a", "b"]);
    for (const name of ["b", "a", "c", "d"]) {
      finish.get(name)?.();
      await settle();
    }
    expect(begun).to.deep.equal(["a", "b", "c", "d"]);
    await Promise.all(all);
  });

  it("serves groups in turn, so that a crowd does not hold up a single one", async () => {
    const slots = new Slots<string>(1);
    const all = ["a1", "a2", "a3", "a4", "b1", "c1", "b2"].map((name) => ask(slots, name.slice(0, 1), name));
    for (const name of ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]) {
      await settle();
      expect(begun.at(-1)).to.equal(name);
      finish.get(name)?.();
    }
    await Promise.all(all);
  });

  it("gives a slot back when its user fails", async () => {
    const slots = new Slots<string>(1);
    const failed = await slots.use("a", () => Promise.reject(new Error("broken"))).catch((error: unknown) => error);
    expect(String(failed)).to.include("broken");
    expect(await slots.use("a", () => Promise.resolve("next"))).to.equal("next");
  });
});
