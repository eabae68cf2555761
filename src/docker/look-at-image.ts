import { EngineRefusedError } from "../core/errors.ts";
import type { DockerClient } from "./client.ts";

export type FoundImage = { readonly id: string; readonly tags: readonly string[]; readonly digests: readonly string[] };
type Reply = { readonly Id: string; readonly RepoTags?: readonly string[] | null; readonly RepoDigests?: readonly string[] | null };

/** What a name or an id stands for at the Engine; `undefined`: nothing. */
export async function lookAtImage(client: DockerClient, image: string): Promise<FoundImage | undefined> {
  try {
    const what = `look at the image "${image}"`;
    const path = `${imagePath(image)}/json`;
    const { Id, RepoTags, RepoDigests } = await client.call<Reply>({ what, method: "GET", path });
    return { id: Id, tags: RepoTags ?? [], digests: RepoDigests ?? [] };
  } catch (error) {
    // 400 is a name that makes no sense: the pull will say so in terms of the image.
    if (error instanceof EngineRefusedError && (error.status === 404 || error.status === 400)) return undefined;
    throw error;
  }
}

export const imagePath = (image: string): string => `/images/${image.split("/").map(encodeURIComponent).join("/")}`;
