import { spawnSync } from "node:child_process";
import { accessSync, constants, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { parseAllDocuments } from "yaml";

import { mergeValues as merge, type Values } from "../../scripts/lib/cluster/merge-values.ts";

export { merge, type Values };

export const chartDir = join(import.meta.dirname, "..", "..", "chart");
export const example = join(chartDir, "..", "values.example.yaml");

/** Both majors: they read values, print faults and write objects in ways of their own. */
export const helms = [helm("HELM3", "helm.sh/helm/v3/cmd/helm@v3.22.0"), helm("HELM4", "helm.sh/helm/v4/cmd/helm@v4.3.1")] as const;
export const [helm3] = helms;

type Helm = { readonly name: string; readonly path: string };

/** While the tests are loaded, so that a missing Helm is one fault and not one a test. @throws {Error} */
function helm(name: string, module: string): Helm {
  const path = process.env[name] ?? "";
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new Error(
      `${name}: must name a Helm that can be run, got "${path}": ./scripts/test chart builds both and sets them (by hand: CGO_ENABLED=0 go install ${module})`,
    );
  }
  return { name, path };
}

/** The least that an installation must say. */
export const LEAST: Values = { image: { repository: "mine/runtime" }, mongodb: { uri: "mongodb://mongo:27017" } };

export type Thing = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // Objects of many kinds; each test knows which one it reads.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly [field: string]: any;
};

export type Rendered = {
  /** What Helm printed for one object, with its comments. */
  readonly text: (kind: string, name?: string) => string;
  readonly one: (kind: string, name?: string) => Thing;
  readonly all: readonly Thing[];
};

type Options = { readonly release?: string; readonly chart?: string; readonly kube?: string };

/** `helm template` with values over `LEAST`. @throws {Error} with what Helm said */
export function render(by: Helm, values: Values = {}, options: Options = {}): Rendered {
  return objectsIn(templateText(by, merge(LEAST, values), options));
}

export function objectsIn(manifest: string): Rendered {
  const documents = parseAllDocuments(manifest).map((document) => ({
    thing: document.toJS() as Thing | null,
    text: manifest.slice(document.range[0], document.range[2]),
  }));
  const found = documents.filter(({ thing }) => thing !== null) as { thing: Thing; text: string }[];
  const find = (kind: string, name?: string) => {
    const [first, ...more] = found.filter(({ thing }) => thing.kind === kind && (name === undefined || thing.metadata.name === name));
    if (first === undefined || more.length > 0) throw new Error(`Found ${more.length + (first ? 1 : 0)} of ${kind} ${name ?? ""}`);
    return first;
  };
  return { all: found.map(({ thing }) => thing), one: (k, n) => find(k, n).thing, text: (k, n) => find(k, n).text };
}

/** What `helm template` prints; the values stand alone. @throws {Error} with what Helm said */
export function templateText(by: Helm, values: Values, options: Options = {}): string {
  const { status, stdout, stderr } = template(by, values, options);
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** Helm's exit code, and its lines that are more than information. */
export function lint({ path }: Helm, values: Values): { readonly status: number | null; readonly faults: readonly string[] } {
  const args = ["lint", "--strict", chartDir, "--values", "-"];
  const { status, stdout, stderr } = spawnSync(path, args, { input: JSON.stringify(values), encoding: "utf8", timeout: 30_000 });
  return { status, faults: `${stdout}${stderr}`.split("\n").filter((line) => /\[(WARNING|ERROR)\]|Fail:/i.test(line)) };
}

/** What Helm says to values that it refuses; they stand alone, without `LEAST`. */
export function refusal(by: Helm, values: Values, options: Options = {}): string {
  const { status, stderr } = template(by, values, options);
  return status === 0 ? "" : stderr;
}

function template({ path }: Helm, values: Values, { release = "runtime", chart = chartDir, kube = "1.29.0" }: Options) {
  const args = ["template", release, chart, "--namespace", "runtime", "--kube-version", kube, "--values", "-"];
  const { error, ...result } = spawnSync(path, args, { input: JSON.stringify(values), encoding: "utf8", timeout: 30_000 });
  if (error) throw error;
  return result;
}

/** Another chart: a copy of ours with a change. @returns what `use` makes of its directory */
export function withChart<T>(change: (dir: string) => void, use: (dir: string) => T): T {
  const dir = mkdtempSync(join(tmpdir(), "chart-"));
  try {
    cpSync(chartDir, dir, { recursive: true });
    change(dir);
    return use(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
