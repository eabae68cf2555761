import type { Place } from "../cache.ts";
import { ensureProductImages } from "./images.ts";
import { ensureHelm, ensureTools } from "./tools.ts";

/** Builds into the cache all that a cluster and its tests are made of, so that what comes then is quick.
 *  @returns the directory of the programs. */
export async function buildCluster(place: Place & { readonly signal?: AbortSignal }): Promise<string> {
  const { bin } = await ensureTools(place);
  await ensureHelm(3, place);
  await ensureHelm(4, place);
  await ensureProductImages(place, process.env);
  return bin;
}
