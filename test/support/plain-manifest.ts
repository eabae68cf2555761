import { spawnSync } from "node:child_process";
import { join } from "node:path";

export const manifestPath = join(import.meta.dirname, "..", "..", "deploy", "runtime.yaml");

export type Edits = {
  readonly image: string;
  readonly mongoUri: string;
  readonly database: string;
  readonly collection: string;
  readonly maxSegment: number;
  /** As people would not: for a machine that others use, too. */
  readonly timings?: "ci";
};

/** deploy/runtime.yaml as people edit it: by sed, at the places that it marks and nowhere else. */
export function editedManifest({ image, mongoUri, database, collection, maxSegment, timings }: Edits): string {
  const script = [
    `/# EDIT 1/{n;s|image: .*|image: ${image}|}`,
    `/# EDIT 2/{n;n;s|MONGO_URI: .*|MONGO_URI: "${mongoUri.replaceAll("&", "\\&")}"|}`,
    `/name: DB_NAME/{n;s|".*"|"${database}"|}`,
    `/name: COLLECTION_NAME/{n;s|".*"|"${collection}"|}`,
    `/# EDIT 3/{n;n;s|".*"|"${maxSegment}"|}`,
    ...(timings === undefined ? [] : [`/name: TIMINGS/{n;s|".*"|"${timings}"|}`]),
  ];
  const { status, stdout, stderr } = spawnSync("sed", [...script.flatMap((line) => ["-e", line]), manifestPath], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}
