/** A value that JSON has no word for, such as an ObjectId or a Date: kept as its kind, never as itself. */
export class Foreign {
  readonly kind: string;
  constructor(kind: string) {
    this.kind = kind;
  }
}

export type Snapshot = {
  /** Plain objects (without a prototype), arrays, text, finite numbers, booleans, null and `Foreign`. */
  readonly value: unknown;
  /** Where something stands that JSON cannot say. */
  readonly foreign: readonly { readonly path: readonly (string | number)[]; readonly kind: string }[];
};

/** Deepest nesting that a document may have. */
const MAX_DEPTH = 64;
/** Most values that one field may hold. A config of 1 MiB cannot hold more. */
const MAX_VALUES = 600_000;

/** Copies a value into plain JSON, so that nothing of it can surprise later: no getters, proxies, driver classes,
 *  cycles, holes, or nesting that would overflow a stack. Total: what cannot be read becomes `Foreign`. */
export function takeSnapshot(source: unknown): Snapshot {
  const foreign: { path: (string | number)[]; kind: string }[] = [];
  let left = MAX_VALUES;
  const mark = (path: (string | number)[], kind: string): Foreign => {
    if (foreign.length < 20) foreign.push({ path, kind });
    return new Foreign(kind);
  };

  const copy = (value: unknown, path: (string | number)[]): unknown => {
    if (--left < 0) return left === -1 ? mark([], `a field of more than ${MAX_VALUES} values`) : new Foreign("one value too many");
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number") return Number.isFinite(value) ? value + 0 : mark(path, String(value));
    if (typeof value !== "object") return mark(path, typeof value === "undefined" ? "nothing" : `a ${typeof value}`);
    try {
      if (!isPlain(value)) return mark(path, kindOf(value));
      if (path.length >= MAX_DEPTH) return mark(path, `nesting deeper than ${MAX_DEPTH} levels`);
      return Array.isArray(value) ? copyList(value, path) : copyObject(value, path);
    } catch {
      return mark(path, "a value that cannot be read");
    }
  };

  const copyList = (list: readonly unknown[], path: (string | number)[]): unknown[] => {
    const copied: unknown[] = [];
    // The length of a sparse list is anybody's claim: stop when the budget is spent.
    for (let i = 0; i < list.length; i++) {
      if (left < 0) break;
      copied.push(copy(list[i], [...path, i]));
    }
    return copied;
  };

  const copyObject = (object: object, path: (string | number)[]): Record<string, unknown> => {
    const copied = Object.create(null) as Record<string, unknown>;
    for (const key of Object.keys(object)) {
      if (left < 0) break;
      const value = (object as Record<string, unknown>)[key];
      if (value !== undefined) copied[key] = copy(value, [...path, key]);
    }
    return copied;
  };

  return { value: copy(source, []), foreign };
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return (prototype === null || prototype === Object.prototype) && !Object.hasOwn(value, "_bsontype");
}

/** The class of what the driver (or a test) put there: "an ObjectId", "a Date". */
function kindOf(value: object): string {
  const bson: unknown = (value as { _bsontype?: unknown })._bsontype;
  const name = typeof bson === "string" ? bson : (value.constructor as { name?: unknown } | undefined)?.name;
  const word = typeof name === "string" && /^\w{1,40}$/.test(name) ? name : "object that is not JSON";
  return `${/^[AEIOU]/i.test(word) ? "an" : "a"} ${word}`;
}
