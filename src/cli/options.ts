import { Option } from "commander";
import type { CliDeps } from "./ports.ts";

export function outputOption(): Option {
  return new Option("--output <format>", "how to print").choices(["table", "json"]).default("table");
}

/** Columns to cut tables to: a terminal's, or none. */
export function ttyWidth({ stdout }: CliDeps): number | undefined {
  return stdout.isTTY === true ? stdout.columns : undefined;
}
