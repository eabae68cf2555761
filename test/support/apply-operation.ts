import type { Operation, Outcome, Test } from "../../src/core/operations.ts";

/** A document of the model. `_id` is a RecordId. */
export type Doc = { readonly _id: unknown } & Readonly<Record<string, unknown>>;

/** What MongoDB does with an operation, on a plain object: the whole model of the store's writes. */
export function applyTo(
  document: Doc | undefined,
  operation: Operation,
): { readonly outcome: Outcome; readonly document: Doc | undefined } {
  const { id, where, set = {}, add = {} } = operation;
  const passes =
    document !== undefined &&
    (where.length === 0 || where.some((fields) => Object.entries(fields).every(([name, test]) => pass(test, document[name]))));
  if (operation.remove === true) return passes ? { outcome: "won", document: undefined } : { outcome: "missed", document };
  // An upsert whose document stands and does not pass would be a second insert of its `_id`: refused.
  if (!passes && (document !== undefined || operation.upsert !== true)) return { outcome: "missed", document };
  // What an upsert inserts begins with what its only alternative demands.
  const base: Doc = document ?? { _id: id, ...demanded(where) };
  const sums = Object.entries(add).map(([name, n]) => [name, Number(base[name] ?? 0) + n]);
  return { outcome: "won", document: { ...base, ...set, ...Object.fromEntries(sums) } };
}

/** A missing field equals null, and only numbers compare with numbers. */
function pass(test: Test, field: unknown): boolean {
  const value = field ?? null;
  if ("is" in test) return value === test.is;
  if ("isNot" in test) return value !== test.isNot;
  if ("in" in test) return test.in.some((one) => one === value);
  return typeof value === "number" && value <= test.atMost;
}

function demanded(where: Operation["where"]): Record<string, unknown> {
  const [only, ...others] = where;
  if (only === undefined || others.length > 0) return {};
  return Object.fromEntries(Object.entries(only).flatMap(([name, test]) => ("is" in test ? [[name, test.is]] : [])));
}
