import { readFileSync } from "node:fs";
import { isMap, isScalar, isSeq, parseDocument, type YAMLMap } from "yaml";

export type Schema = {
  readonly $schema?: string;
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly default?: unknown;
  readonly additionalProperties?: boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
};

/** The draft that every Helm 3 and 4 reads. */
const draft = "http://json-schema.org/draft-07/schema#";

/** What chart/values.schema.json should be: every key of values.yaml, with its words, and no other. It says nothing of single values,
 *  for templates/validate.yaml has better words for them, and of lists and Kubernetes' own objects only that they are such. */
export function valuesSchema(): Schema {
  const { contents } = parseDocument(readFileSync(new URL("../../chart/values.yaml", import.meta.url), "utf8"));
  if (!isMap(contents)) throw new Error("Cannot read chart/values.yaml: it must be a map");
  const { properties, ...rest } = groupOf(contents, "", undefined);
  // Helm gives it to each chart that is part of another one.
  const global: Schema = { description: "Values of the chart that this one is part of; not read here.", type: "object" };
  return { $schema: draft, ...rest, properties: { ...properties, global } };
}

/** `above`: the comment before the first key, which belongs to the map by the parser's rules. @throws {Error} naming a key that
 *  neither says what it does nor is a group of keys that do */
function groupOf(map: YAMLMap, path: string, above: string | null | undefined): Schema {
  const properties = map.items.map(({ key, value }, i): [string, Schema] => {
    if (!isScalar(key)) throw new Error(`Cannot read a key of ${path || "the values"}: it must be a word`);
    const name = String(key.value);
    const comment = key.commentBefore ?? (i === 0 ? above : undefined);
    const description = descriptionIn(comment ?? "");
    if (description !== undefined) return [name, { description, ...shapeOf(value) }];
    if (isMap(value)) return [name, { ...wordsOn(comment), ...groupOf(value, `${path}${name}.`, value.commentBefore) }];
    throw new Error(`Cannot describe ${path}${name}: values.yaml must say what it does in a comment that begins with "# -- "`);
  });
  return { type: "object", additionalProperties: false, properties: Object.fromEntries(properties) };
}

function shapeOf(node: unknown): Schema {
  if (isMap(node)) return { type: ["object", "null"], default: node.toJSON() };
  if (isSeq(node)) return { type: ["array", "null"], default: node.toJSON() };
  const value: unknown = isScalar(node) ? node.value : null;
  return value === null ? {} : { default: value };
}

/** A group needs no words; what there are stand right above it. */
function wordsOn(comment: string | null | undefined): Schema {
  const paragraph = /(?:^|\n\n)((?:.+\n?)+)$/.exec(comment ?? "")?.[1];
  return paragraph === undefined ? {} : { description: paragraph.replaceAll(/^ /gm, "").replaceAll("\n", " ") };
}

/** What stands behind the last "-- "; before it may be the example of the key above. */
function descriptionIn(comment: string): string | undefined {
  const lines = comment.split("\n");
  const begin = lines.findLastIndex((line) => /^ -- \w/.test(line));
  if (begin === -1) return undefined;
  return lines
    .slice(begin)
    .map((line) => line.replace(/^ (-- )?/, ""))
    .join(" ");
}
