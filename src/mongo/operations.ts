import type { Document, Filter, UpdateFilter } from "mongodb";
import { assertNever } from "../core/errors.ts";
import type { Alternative, Operation, RecordId, Test } from "../core/operations.ts";

/** A document of ours, keyed as the core keys it. */
export type Keyed = Document & { _id: RecordId };

/** The query that passes exactly where the operation's tests pass. */
export function filterOf({ id, where }: Pick<Operation, "id" | "where">): Filter<Keyed> {
  const alternatives = where.map(alternativeOf);
  if (alternatives.length === 0) return { _id: id };
  return alternatives.length === 1 ? { _id: id, ...alternatives[0] } : { _id: id, $or: alternatives };
}

export function updateOf({ set, add }: Pick<Operation, "set" | "add">): UpdateFilter<Keyed> {
  return { ...(set === undefined ? {} : { $set: set }), ...(add === undefined ? {} : { $inc: add }) };
}

function alternativeOf(alternative: Alternative): Document {
  return Object.fromEntries(Object.entries(alternative).map(([field, test]) => [field, conditionOf(test)]));
}

function conditionOf(test: Test): Document {
  if ("is" in test) return { $eq: test.is };
  if ("isNot" in test) return { $ne: test.isNot };
  if ("in" in test) return { $in: [...test.in] };
  if ("atMost" in test) return { $lte: test.atMost };
  return assertNever(test);
}
