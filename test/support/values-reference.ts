import { type Schema, valuesSchema } from "./values-schema.ts";

type Row = { readonly path: string; readonly schema: Schema };
type Section = { readonly keys: readonly string[]; readonly words: string; readonly rows: readonly Row[] };

/** All keys of values.yaml for chart/README.md, in its order: a table for each group, with the single keys that follow it. */
export function valuesReference(): string {
  const { properties = {} } = valuesSchema();
  const sections: Section[] = [];
  for (const [key, schema] of Object.entries(properties)) {
    if (key === "global") continue;
    const rows = leaves(key, schema);
    const before = schema.properties === undefined ? sections.pop() : undefined;
    const words = schema.properties === undefined ? "" : (schema.description ?? "");
    sections.push(
      before === undefined
        ? { keys: [key], words, rows }
        : { keys: [...before.keys, key], words: before.words, rows: [...before.rows, ...rows] },
    );
  }
  return sections.map(sectionText).join("\n");
}

function leaves(path: string, schema: Schema): Row[] {
  if (schema.properties === undefined) return [{ path, schema }];
  return Object.entries(schema.properties).flatMap(([key, inner]) => leaves(`${path}.${key}`, inner));
}

function sectionText({ keys, words, rows }: Section): string {
  const table = rows.map(({ path, schema: { description = "", default: value } }) => {
    const fallback = value === undefined ? "none" : `\`${JSON.stringify(value).replaceAll("|", "\\|")}\``;
    return `| \`${path}\` | ${fallback} | ${description.replaceAll("|", "\\|")} |`;
  });
  const head = `### ${keys.map((key) => `\`${key}\``).join(", ")}`;
  return `${[head, "", ...(words === "" ? [] : [words, ""]), "| Key | Default | Meaning |", "| --- | --- | --- |", ...table].join("\n")}\n`;
}
