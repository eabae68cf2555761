import { expect } from "chai";
import type { Operation, Test } from "../../../src/core/operations.ts";
import { filterOf, updateOf } from "../../../src/mongo/operations.ts";
import { operationCases } from "../../contract/operation-cases.ts";

const where = (...alternatives: Operation["where"]): Pick<Operation, "id" | "where"> => ({ id: "a", where: alternatives });

describe("mongo/operations filterOf()", () => {
  for (const { why, given, gives } of [
    { why: "any state of the document", given: where(), gives: { _id: "a" } },
    { why: "one alternative", given: where({ n: { is: 1 } }), gives: { _id: "a", n: { $eq: 1 } } },
    {
      why: "every field of an alternative",
      given: where({ n: { atMost: 1 }, s: { in: ["x", null] } }),
      gives: { _id: "a", n: { $lte: 1 }, s: { $in: ["x", null] } },
    },
    {
      why: "any of several alternatives",
      given: where({ n: { atMost: 2 } }, { s: { isNot: "x" } }),
      gives: { _id: "a", $or: [{ n: { $lte: 2 } }, { s: { $ne: "x" } }] },
    },
    { why: "an id that is an object", given: { id: { document: "x" }, where: [] }, gives: { _id: { document: "x" } } },
  ]) {
    it(why, () => expect(filterOf(given)).to.deep.equal(gives));
  }

  it("has no word for a test that it does not know", () => {
    expect(() => filterOf(where({ n: { above: 1 } as unknown as Test }))).to.throw(TypeError, "above");
  });

  it("names the document by its id alone, in every operation of the protocol", () => {
    for (const { operation } of operationCases) {
      expect(filterOf(operation)._id).to.deep.equal(operation.id);
      expect(operation.where.some((alternative) => "_id" in alternative)).to.equal(false);
    }
  });
});

describe("mongo/operations updateOf()", () => {
  for (const { why, given, gives } of [
    { why: "sets", given: { set: { a: null, b: "x" } }, gives: { $set: { a: null, b: "x" } } },
    { why: "adds", given: { add: { n: 1 } }, gives: { $inc: { n: 1 } } },
    { why: "sets and adds", given: { set: { a: 1 }, add: { n: 2 } }, gives: { $set: { a: 1 }, $inc: { n: 2 } } },
  ]) {
    it(why, () => expect(updateOf(given)).to.deep.equal(gives));
  }

  it("never sets and adds the same field: the server would refuse", () => {
    for (const { operation } of operationCases)
      for (const field of Object.keys(operation.add ?? {})) expect(Object.keys(operation.set ?? {})).to.not.include(field);
  });

  it("changes something in every operation that removes nothing: an empty change is refused", () => {
    for (const { operation } of operationCases)
      if (operation.remove !== true) expect(Object.keys(updateOf(operation))).to.not.have.lengthOf(0);
  });
});
