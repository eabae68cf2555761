import { readFileSync, writeFileSync } from "node:fs";
import { describeVariable, variables, type Variable, type VariableName } from "../../src/config/variables.ts";
import { dashboard } from "../../scripts/lib/dashboard.ts";
import { DASHBOARD_ROWS } from "../../scripts/lib/dashboard-rows.ts";
import { botJsonSchema } from "../../src/document/json-schema.ts";
import { valuesReference } from "./values-reference.ts";
import { valuesSchema } from "./values-schema.ts";

const docs = new URL("../../docs/", import.meta.url);
const END = "<!-- end of the generated part -->";

/** The files of docs/ and the chart that are made from the source, as they should be. Run as a program it writes them. */
export function generatedDocs(): { readonly name: string; readonly is: string; readonly shouldBe: string }[] {
  return [
    json("bot.schema.json", botJsonSchema()),
    json("../chart/values.schema.json", valuesSchema()),
    filled("../chart/README.md", "chart/values.yaml", valuesReference()),
    filled("configuration.md", "src/config/variables.ts", variableTable()),
    json("../chart/files/dashboards/bot-runner.json", dashboard(DASHBOARD_ROWS)),
  ];
}

const json = (name: string, schema: object) => ({ name, is: read(name), shouldBe: `${JSON.stringify(schema, null, 2)}\n` });

/** A text by hand with a part that is made. */
function filled(name: string, source: string, part: string) {
  const begin = `<!-- generated from ${source}: npm run docs -->`;
  const is = read(name);
  const [before = "", rest = ""] = is.split(begin);
  const [, after = ""] = rest.split(END);
  return { name, is, shouldBe: `${before}${begin}\n\n${part}\n${END}${after}` };
}

function read(name: string): string {
  try {
    return readFileSync(new URL(name, docs), "utf8");
  } catch {
    return "";
  }
}

function variableTable(): string {
  const rows = Object.entries<Variable<unknown>>(variables).map(([name, { secret, fallbackText, required }]) => {
    const fallback = required === "always" ? "**required**" : fallbackText || "unset";
    return `| \`${name}\`${secret ? `, \`${name}_FILE\`` : ""} | ${fallback} | ${describeVariable(name as VariableName)} |`;
  });
  return `${["| Variable | Default | Meaning |", "| --- | --- | --- |", ...rows].join("\n")}\n`;
}

if (import.meta.main) for (const { name, shouldBe } of generatedDocs()) writeFileSync(new URL(name, docs), shouldBe);
