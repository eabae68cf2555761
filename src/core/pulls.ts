import { after, type MonoMs } from "./clock.ts";

/** First and longest wait after a pull that failed for a passing reason. Source: docker.md, Images. */
const FIRST_MS = 5_000;
export const PULL_MAX_MS = 300_000;
/** A wait that ended so long ago says nothing about the next fault. */
const FORGET_MS = 600_000;
/** The longest that a registry's own word is taken for. Docker Hub's limits are per six hours, but an answer of such a
 *  length is more often a clock that is wrong, and one question an hour offends nobody. */
const OBEY_MAX_MS = 3_600_000;

/** How registries and the Engine word "no such image" and "not for you" once the status line has gone out as 200. */
const PERMANENT =
  /manifest unknown|manifest for .* not found|no matching manifest|access denied|access to the resource is denied|repository does not exist|name unknown|unauthorized|no basic auth credentials|status:? (?:code:? )?40[134]\b|invalid reference/i;
const DENIED = /denied|unauthorized|authentication|no basic auth|login|status:? (?:code:? )?40[13]\b/i;
const LIMITED = /toomanyrequests|too many requests|rate limit/i;
const FULL = /no space left|disk quota/i;
const UNREACHABLE =
  /dial tcp|connection (?:refused|reset)|timeout|no such host|server misbehaving|deadline exceeded|Client\.Timeout|unreachable|(?:HTTP )?status:? (?:code:? )?5\d\d/i;

/** What the Engine told of a pull that came to nothing. */
export type PullRefusal = {
  readonly said: string;
  /** The reply's HTTP status, or the code inside the stream. */
  readonly status?: number | undefined;
  readonly stalled?: boolean;
};

/** `denied` and `wrong` stay until somebody changes something; the rest passes, and then tells whom to leave alone. */
export type PullVerdict =
  | { readonly kind: "denied" | "wrong" }
  | { readonly kind: "image" }
  | { readonly kind: "registry"; readonly retryAfterMs?: number };

export function judgePull({ said, status, stalled = false }: PullRefusal): PullVerdict {
  // First, for a registry that limits its callers says "denied" as well.
  if (status === 429 || LIMITED.test(said)) {
    const retryAfterMs = readRetryAfter(said);
    return { kind: "registry", ...(retryAfterMs !== undefined && { retryAfterMs }) };
  }
  // Our own disk: no registry is to blame, another image may still fit.
  if (FULL.test(said)) return { kind: "image" };
  if (status === 401 || status === 403) return { kind: "denied" };
  if (status === 400 || status === 404 || PERMANENT.test(said)) return { kind: DENIED.test(said) ? "denied" : "wrong" };
  if (stalled || UNREACHABLE.test(said) || (status !== undefined && status >= 500)) return { kind: "registry" };
  return { kind: "image" };
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  "": 1_000,
};

/** The Engine hands on no headers, so the wait is only known when the registry repeats it in its words, as ghcr.io does:
 *  `retry-after: 1m30s`. A bare number is in seconds. */
function readRetryAfter(said: string): number | undefined {
  const text = /retry[- ](?:after|in):?\s*((?:[\d.]+\s*(?:ns|[uµμ]s|ms|[smh])?)+)/i.exec(said)?.[1];
  if (text === undefined) return undefined;
  let sumMs = 0;
  for (const [, number, unit = ""] of text.matchAll(/([\d.]+)\s*(ns|[uµμ]s|ms|[smh])?/gi))
    sumMs += Number(number) * (UNIT_MS[unit.toLowerCase()] ?? 0);
  return Number.isFinite(sumMs) ? Math.min(OBEY_MAX_MS, sumMs) : undefined;
}

/** An image or a registry that is left alone for now; once `until` is past, one pull may try. */
export type Pause = { readonly faults: number; readonly until: MonoMs };

/** The pause after one more passing fault. `random` gives [0, 1): less up to a quarter for our own wait, a little more
 *  than what a registry asks for. */
export function pauseAfter(past: Pause | undefined, retryAfterMs: number | undefined, now: MonoMs, random: () => number): Pause {
  // Pulls that began before the pause end in it: they are not the next fault in a row.
  const during = past !== undefined && now < past.until;
  const faults = past === undefined || now - past.until > FORGET_MS ? 0 : during ? past.faults - 1 : past.faults;
  const ownMs = Math.min(PULL_MAX_MS, FIRST_MS * 2 ** Math.min(faults, 30)) * (1 - random() / 4);
  const until = after(now, Math.max(ownMs, (retryAfterMs ?? 0) * (1 + random() / 10)));
  return { faults: faults + 1, until: during && past.until > until ? past.until : until };
}

/** When the image may be asked for; `undefined`: now. */
export function pausedUntil(image: Pause | undefined, registry: Pause | undefined, now: MonoMs): MonoMs | undefined {
  const until = Math.max(image?.until ?? now, registry?.until ?? now) as MonoMs;
  return until > now ? until : undefined;
}

/** The registry that an image's name stands for, as Docker reads it; Docker Hub goes by one name. */
export function registryOf(image: string): string {
  return splitHost(image)[0];
}

/** The image's name in full, so that two ways to write one name compare: `nginx` is `docker.io/library/nginx:latest`. */
export function canonicalImage(image: string): string {
  const [registry, path] = splitHost(image);
  const named = registry === "docker.io" && !path.includes("/") ? `library/${path}` : path;
  const [withTag = "", digest] = named.split("@");
  const isTagged = withTag.includes(":");
  // Beside a digest a tag says nothing.
  if (digest !== undefined) return `${registry}/${isTagged ? withTag.slice(0, withTag.indexOf(":")) : withTag}@${digest}`;
  return `${registry}/${withTag}${isTagged ? "" : ":latest"}`;
}

export function canonicalRegistry(host: string): string {
  const name = host.toLowerCase();
  return name === "index.docker.io" || name === "registry-1.docker.io" ? "docker.io" : name;
}

function splitHost(image: string): [registry: string, path: string] {
  const slash = image.indexOf("/");
  const first = image.slice(0, Math.max(0, slash));
  const isHost = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  return isHost ? [canonicalRegistry(first), image.slice(slash + 1)] : ["docker.io", image];
}
