import { parse } from "yaml";

/** The files of the tree that say which version it is. */
export type Sources = {
  readonly packageJson: string;
  readonly packageLock: string;
  readonly chartYaml: string;
  readonly changelog: string;
};

export type Findings = {
  readonly version: string;
  /** What must be mended before anything is made: one sentence each, with the file, the value and the fix. */
  readonly faults: readonly string[];
  /** What a rehearsal bears and a release does not. */
  readonly unready: readonly string[];
};

/** A version as Helm, npm and registries all read it; a tag of an image cannot hold a plus. */
const VERSION = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;

/** Whether all places name one version: that of package.json. */
export function checkVersions({ packageJson, packageLock, chartYaml, changelog }: Sources): Findings {
  const { version } = JSON.parse(packageJson) as { readonly version: string };
  const lock = JSON.parse(packageLock) as {
    readonly version?: unknown;
    readonly packages?: Readonly<Record<string, { version?: unknown }>>;
  };
  const chart = parse(chartYaml) as { readonly version?: unknown; readonly appVersion?: unknown };
  const places: readonly (readonly [place: string, value: unknown, fix: string])[] = [
    ["package-lock.json: version", lock.version, "run npm install --package-lock-only"],
    ["package-lock.json: the root package's version", lock.packages?.[""]?.version, "run npm install --package-lock-only"],
    ["chart/Chart.yaml: version", chart.version, `write version: ${version}`],
    ["chart/Chart.yaml: appVersion", chart.appVersion, `write appVersion: ${version}`],
  ];
  const wrong = VERSION.test(version)
    ? []
    : [`package.json: version: must be a version such as 1.2.3 or 1.2.3-rc.1, got ${JSON.stringify(version)}`];
  const different = places.flatMap(([place, value, fix]) =>
    value === version ? [] : [`${place}: must be ${JSON.stringify(version)} as in package.json, got ${JSON.stringify(value)}: ${fix}`],
  );
  return { version, faults: [...wrong, ...different], unready: checkChangelog(changelog, version) };
}

function checkChangelog(changelog: string, version: string): string[] {
  const [part, ...others] = changelog.split(/^## /m).filter((each) => each.split("\n", 1)[0]?.split(" ", 1)[0] === version);
  if (part === undefined) return [`CHANGELOG.md: must have the heading "## ${version}": give the part "Pending" that name`];
  if (others.length > 0) return [`CHANGELOG.md: must have the heading "## ${version}" once, got ${others.length + 1} of it`];
  const isEmpty = part.split("\n").slice(1).join("").trim() === "";
  return isEmpty ? [`CHANGELOG.md: must say what changed below "## ${version}", got nothing`] : [];
}
