import * as fc from "fast-check";
import type { Alternative, Operation, Test } from "../../src/core/operations.ts";
import type { Doc } from "./apply-operation.ts";

type Scalar = Extract<Test, { readonly is: unknown }>["is"];

const ID = "doc";
const names = ["a", "b", "n", "m"] as const;

const arbScalar: fc.Arbitrary<Scalar> = fc.constantFrom<Scalar>(null, "", "x", "X", 0, 1, -1, 2.5, true, false);
const arbNumber = fc.constantFrom(-1, 0, 1, 2, 2.5);
/** A field may be there, be null, or be missing: a query cannot tell the last two apart. `n` and `m` can be added to. */
const arbFields = fc.record({ a: arbScalar, b: arbScalar, n: arbNumber, m: arbNumber }, { requiredKeys: [] });

export const arbDocument: fc.Arbitrary<Doc | undefined> = fc.option(
  arbFields.map((fields) => ({ _id: ID, ...fields })),
  { nil: undefined },
);

const arbTest: fc.Arbitrary<Test> = fc.oneof(
  arbScalar.map((is) => ({ is })),
  arbScalar.map((isNot) => ({ isNot })),
  fc.array(arbScalar, { minLength: 2, maxLength: 3 }).map((all) => ({ in: all })),
  arbNumber.map((atMost) => ({ atMost })),
);

const arbAlternative: fc.Arbitrary<Alternative> = fc.dictionary(fc.constantFrom(...names), arbTest, { minKeys: 1, maxKeys: 3 });

/** Operations such as the core may write: a change of some field, a removal, or an upsert. `set` and `add` never meet. */
export const arbOperation: fc.Arbitrary<Operation> = fc
  .record({
    where: fc.array(arbAlternative, { maxLength: 2 }),
    set: fc.dictionary(fc.constantFrom("a", "b", "c"), arbScalar, { minKeys: 1, maxKeys: 2 }),
    add: fc.option(fc.dictionary(fc.constantFrom("n", "m"), fc.constantFrom(1, 2, -1), { minKeys: 1 }), { nil: undefined }),
    kind: fc.constantFrom("change", "change", "upsert", "remove"),
  })
  .map(({ where, set, add, kind }): Operation => {
    const base = { op: "any", collection: "status" as const, id: ID, where };
    if (kind === "remove") return { ...base, remove: true };
    // The core upserts only what two alternatives guard: what MongoDB inserts for other queries is its own affair.
    const upsert = kind === "upsert" && where.length === 2 ? { upsert: true as const } : {};
    return { ...base, set, ...(add === undefined ? {} : { add }), ...upsert };
  });
