import type { Clock, MonoMs } from "../core/clock.ts";
import { EngineRefusedError } from "../core/errors.ts";
import type { PullRefusal } from "../core/pulls.ts";
import type { DockerClient } from "./client.ts";
import { readJsonLines } from "./json-lines.ts";
import type { Credentials } from "./registry-auth.ts";

/** A pull without any progress for so long is given up, in ms. Source: docker.md, Images. */
const STALL_MS = 120_000;

type Progress = { readonly error?: string; readonly errorDetail?: { readonly code?: number; readonly message?: string } };
type Refused = PullRefusal & { readonly cause?: Error };
type PullOptions = { readonly client: DockerClient; readonly clock: Clock; readonly credentials: Credentials | undefined };

/** Pulls one image; what a registry says against it is an answer, not an exception. A stream that ends early looks like one that is
 *  done: only the image itself is proof. @throws {EngineUnreachableError} */
export async function pullImage(image: string, { client, clock, credentials }: PullOptions): Promise<Refused | undefined> {
  const over = new AbortController();
  const what = `pull "${image}"`;
  let lastBeat = clock.mono();
  const read = client.stream(
    {
      what,
      method: "POST",
      path: "/images/create",
      query: pullQuery(image),
      signal: over.signal,
      ...(credentials && { registryAuth: credentials }),
    },
    async (body): Promise<Refused | undefined> => {
      for await (const { value } of readJsonLines(body)) {
        lastBeat = clock.mono();
        const { error, errorDetail } = value as Progress;
        if (error !== undefined || errorDetail !== undefined)
          return { said: errorDetail?.message ?? error ?? "no reason given", status: errorDetail?.code };
      }
      return undefined;
    },
  );
  try {
    return await Promise.race([read, watchdog(clock, () => lastBeat, over.signal)]);
  } catch (error) {
    if (!(error instanceof EngineRefusedError)) throw error;
    return { said: error.message.replace(`Cannot ${what}: `, ""), status: error.status, cause: error };
  } finally {
    over.abort();
    await read.catch(() => {});
  }
}

async function watchdog(clock: Clock, lastBeat: () => MonoMs, signal: AbortSignal): Promise<Refused> {
  for (;;) {
    const leftMs = lastBeat() + STALL_MS - clock.mono();
    if (leftMs <= 0) return { said: `no progress for ${STALL_MS / 1000} s`, stalled: true };
    await clock.sleep(leftMs, signal);
  }
}

/** Without a tag the Engine would pull every tag there is; a digest stands in the tag's place. */
function pullQuery(image: string): { fromImage: string; tag: string } {
  const [named = "", digest] = image.split("@");
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const [name, tag] = colon < 0 ? [named, "latest"] : [named.slice(0, colon), named.slice(colon + 1)];
  return { fromImage: name, tag: digest ?? tag };
}
