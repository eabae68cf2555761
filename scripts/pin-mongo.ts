// Writes scripts/lib/mongo-requirements.txt: the MongoDB wire server for tests and the demo, with the sha256 of each
// Linux wheel that PyPI lists for the pinned versions. Run by hand after changing a version below:
//   PIP_INDEX_URL=... ./node_modules/.bin/node scripts/pin-mongo.ts
import { writeFile } from "node:fs/promises";

// secantusdb and, by hand from `pip install --dry-run --report`, everything it pulls in.
const pins = {
  secantusdb: "0.7.0b3",
  dnspython: "2.9.2",
  future: "1.0.0",
  numpy: "2.4.6",
  pymongo: "4.20.0",
  "python-dateutil": "4.0.0",
  s2sphere: "0.2.5",
  shapely: "2.2.0",
  tzdata: "2026.6",
};
// The Pythons of Debian 12, Ubuntu 24.04 and Debian 13: the ones for which every package above has a wheel.
const runsHere = /-(cp31[123]-cp31[123]-manylinux.*(x86_64|aarch64)|[^-]*py3-none-any)\.whl$/;

interface Listing {
  readonly files: readonly { readonly filename: string; readonly hashes: { readonly sha256: string } }[];
}

// The address of the package index, as pip takes it for --index-url: it differs from place to place.
const index = process.env.PIP_INDEX_URL;
if (index === undefined) throw new Error("Set PIP_INDEX_URL to the address of the package index, without a slash at its end");

const lines = ["# Written by scripts/pin-mongo.ts; do not edit."];
for (const [name, version] of Object.entries(pins)) {
  const reply = await fetch(`${index}/${name}/`, {
    headers: { accept: "application/vnd.pypi.simple.v1+json" },
  });
  if (!reply.ok) throw new Error(`Cannot list "${name}" on PyPI: HTTP ${reply.status}`);
  const { files } = (await reply.json()) as Listing;
  const stem = `${name.replaceAll("-", "_")}-${version}-`;
  const hashes = files
    .filter((f) => f.filename.startsWith(stem) && runsHere.test(f.filename))
    .map((f) => `    --hash=sha256:${f.hashes.sha256}`);
  if (hashes.length === 0) throw new Error(`Cannot pin "${name}": PyPI lists no wheel of ${version}`);
  lines.push([`${name}==${version}`, ...hashes.toSorted()].join(" \\\n"));
}
await writeFile(new URL("lib/mongo-requirements.txt", import.meta.url), `${lines.join("\n")}\n`);
