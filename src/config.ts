import { readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { crossFaults } from "./config/cross-checks.ts";
import { redactMongoUri } from "./config/redact.ts";
import { describeVariable, variables, whyIdle, type Surroundings, type Variable, type VariableName } from "./config/variables.ts";
import { ConfigurationError } from "./core/errors.ts";
import { nearest } from "./document/nearest.ts";

type Camel<S extends string> = S extends `${infer A}_${infer B}` ? `${Lowercase<A>}${Capitalize<Camel<B>>}` : Lowercase<S>;
type Value<V> = V extends Variable<infer T> ? T : never;

/** All settings of one process: MAX_SEGMENT is `maxSegment`. Parsed once, cross-checked, frozen. */
export type Config = { readonly [K in VariableName as Camel<K>]: Value<(typeof variables)[K]> };
type Origin = "default" | "environment" | "file";
export type ParsedConfig = {
  readonly config: Config;
  readonly origins: Readonly<Record<VariableName, Origin>>;
  /** One sentence each: variables without effect, and those that look like misspellings of ours. */
  readonly warnings: readonly string[];
};

/** What the machine says, for tests to replace. */
export type ConfigSources = {
  readonly inCluster?: boolean;
  readonly hostName?: string;
  readonly uid?: number;
  readonly home?: string;
  readonly readFile?: (path: string) => string;
};

type Environment = Readonly<Record<string, string | undefined>>;
const names = Object.keys(variables) as VariableName[];
const fileNames = names.filter((name) => variables[name].secret).map((name) => `${name}_FILE`);

/** Reads the environment. An empty variable counts as unset.
 *  @throws {ConfigurationError} naming every fault at once: variable, value, fix. */
export function parseConfig(env: Environment, sources: ConfigSources = {}): ParsedConfig {
  const readFile = sources.readFile ?? ((path: string) => readFileSync(path, "utf8"));
  const inCluster = sources.inCluster ?? (env.KUBERNETES_SERVICE_HOST ?? "") !== "";
  const faults: string[] = [];
  const values = new Map<VariableName, unknown>();
  const origins = new Map<VariableName, Origin>();

  const surroundings: Surroundings = {
    inCluster,
    hostName: sources.hostName ?? hostname(),
    stateDir: stateDirOf(env, sources),
    coordination: variables.COORDINATION.read.safeParse(env.COORDINATION).data ?? (inCluster ? "kubernetes" : "single"),
    timings: variables.TIMINGS.read.safeParse(env.TIMINGS).data ?? "default",
  };

  for (const name of names) {
    const variable: Variable<unknown> = variables[name];
    const given = variable.secret ? readSecret(name, env, readFile, faults) : fromEnvironment(env[name]);
    origins.set(name, given?.origin ?? "default");
    if (given === undefined) {
      if (variable.required === "always" || (variable.required === "cluster" && inCluster))
        faults.push(
          `${name}: is required${variable.required === "cluster" ? " in a cluster" : ""}, got nothing: set it to ${variable.example}`,
        );
      else values.set(name, variable.fallback(surroundings));
      continue;
    }
    if ("fault" in given) continue;
    const { data, error } = variable.read.safeParse(given.text);
    if (error !== undefined)
      faults.push(`${name}: ${error.issues[0]?.message ?? "is wrong"}, got ${shown(name, given.text)}: ${fixOf(variable)}`);
    else {
      values.set(name, data);
      if (variable.file) faults.push(...unreadable(name, given.text, readFile));
    }
  }

  faults.push(...crossFaults((name) => values.get(name), origins.get("COORDINATION") === "default"));
  if (faults.length > 0)
    throw new ConfigurationError(
      `Cannot read the configuration: ${faults.length} fault${faults.length === 1 ? "" : "s"}\n${faults.map((f) => `  - ${f}`).join("\n")}`,
    );
  const config = Object.fromEntries(names.map((name) => [camel(name), values.get(name)]));
  return Object.freeze({
    config: Object.freeze(config) as Config,
    origins: Object.freeze(Object.fromEntries(origins)) as Record<VariableName, Origin>,
    warnings: Object.freeze([...idle(origins, surroundings), ...misspellings(env)]),
  });
}

export type ConfigRow = { readonly name: VariableName; readonly value: string; readonly origin: Origin; readonly description: string };

/** The effective settings for people: secrets redacted, in the order of the documentation. */
export function describeConfig({ config, origins }: ParsedConfig): ConfigRow[] {
  return names.map((name) => {
    const value = config[camel(name) as keyof Config];
    return {
      name,
      value: value === undefined ? "" : redacted(name, String(value)),
      origin: origins[name],
      description: describeVariable(name),
    };
  });
}

type Given = { readonly text: string; readonly origin: Origin } | { readonly fault: true; readonly origin: Origin };

function fromEnvironment(text: string | undefined): Given | undefined {
  return text === undefined || text === "" ? undefined : { text, origin: "environment" };
}

/** A secret stands in the variable itself or in the file that `<NAME>_FILE` names, never in both. */
function readSecret(name: VariableName, env: Environment, readFile: (path: string) => string, faults: string[]): Given | undefined {
  const path = env[`${name}_FILE`] ?? "";
  if (path === "") return fromEnvironment(env[name]);
  const fault = (text: string): Given => {
    faults.push(text);
    return { fault: true, origin: "file" };
  };
  if ((env[name] ?? "") !== "") return fault(`${name}_FILE: must not be set together with ${name}, got "${path}": unset one of the two`);
  try {
    const text = readFile(path).replace(/\r?\n$/, "");
    return text === ""
      ? fault(`${name}_FILE: must name a file with text in it, got "${path}": write the value into the file`)
      : { text, origin: "file" };
  } catch (error) {
    return fault(`${name}_FILE: must name a readable file, got "${path}" (${codeOf(error)}): check the path and its mode`);
  }
}

function unreadable(name: VariableName, path: string, readFile: (path: string) => string): string[] {
  try {
    readFile(path);
    return [];
  } catch (error) {
    return [`${name}: must name a readable file, got "${path}" (${codeOf(error)}): check the path and its mode`];
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unreadable";
}

function idle(origins: ReadonlyMap<VariableName, Origin>, { coordination }: Surroundings): string[] {
  return names.flatMap((name) => {
    const why = origins.get(name) === "default" ? undefined : whyIdle(name, coordination);
    return why === undefined ? [] : [`${name} has no effect ${why}`];
  });
}

function misspellings(env: Environment): string[] {
  const known = [...names, ...fileNames];
  return Object.keys(env).flatMap((given) => {
    if (known.includes(given) || innocent.has(given)) return [];
    const meant = nearest(given, known);
    return meant === undefined ? [] : [`${given} is not a setting of ours and has no effect: did you mean ${meant}?`];
  });
}

/** Names that others set and that look like ours. */
const innocent = new Set(["POD_IP", "POD_IPS", "POD_ID", "HOST_IP", "HTTPS_PORT", "DOCKER_PORT", "NODE_ENV"]);

function stateDirOf(env: Environment, { uid = process.getuid?.() ?? -1, home = homedir() }: ConfigSources): string {
  if (uid === 0) return "/var/lib/bot-runner";
  const xdg = env.XDG_STATE_HOME ?? "";
  return join(xdg.startsWith("/") ? xdg : join(home, ".local", "state"), "bot-runner");
}

function fixOf({ example }: Variable<unknown>): string {
  return example === "" ? "correct or unset it" : `set it to ${example}`;
}

function shown(name: VariableName, text: string): string {
  const safe = redacted(name, text);
  return JSON.stringify(safe.length > 120 ? `${safe.slice(0, 120)}...` : safe);
}

function redacted(name: VariableName, text: string): string {
  if (name === "MONGO_URI") return redactMongoUri(text);
  return variables[name].secret ? "***" : text;
}

function camel(name: string): string {
  return name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}
