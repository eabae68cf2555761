import { readlink, rm, symlink } from "node:fs/promises";
import { join } from "node:path";

import type { Place } from "../cache.ts";
import { ensureCrds } from "./crds.ts";
import { ensureProductImages } from "./images.ts";
import { ensureHelm, ensureTools } from "./tools.ts";

/** Builds into the cache all that a cluster and its tests are made of, so that what comes then is quick.
 *  @returns the directory of the programs. */
export async function buildCluster(place: Place & { readonly signal?: AbortSignal }): Promise<string> {
  const { bin } = await ensureTools(place);
  const { HELM4 } = await buildHelms(place);
  await ensureCrds(place);
  const link = join(bin, "helm");
  // The one that people get who ask for `helm`.
  if ((await readlink(link).catch(() => "")) !== HELM4) await rm(link, { force: true }).then(() => symlink(HELM4, link));
  await ensureProductImages(place, process.env);
  return bin;
}

/** Both majors, and nothing of a cluster. */
export async function buildHelms(
  place: Place & { readonly signal?: AbortSignal },
): Promise<{ readonly HELM3: string; readonly HELM4: string }> {
  return { HELM3: await ensureHelm(3, place), HELM4: await ensureHelm(4, place) };
}
