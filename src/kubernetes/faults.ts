import { ClusterRefusedError, ClusterUnreachableError } from "../core/errors.ts";

/** The API server has too much to do and said when to come again. What was asked has not happened. */
export class ClusterBusyError extends ClusterUnreachableError {
  /** In ms, from the answer. */
  readonly retryAfterMs: number;
  constructor(message: string, retryAfterMs: number, options?: ErrorOptions) {
    super(message, options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Where a 429 names no time. Source: client-go's default. */
const RETRY_AFTER_MS = 1_000;
/** As much of the server's words as a log line bears. */
const MAX_WORDS = 400;
const TOO_MANY = 429;
const REQUEST_TIMEOUT = 408;

/** What a status of 400 and above means. `asked` names verb and resource, and so do the server's own words on a 403. */
export function faultOf(status: number, body: string, asked: string, retryAfter?: string): ClusterUnreachableError | ClusterRefusedError {
  const message = `Cannot ${asked}: the API server answered ${status}${wordsOf(body)}`;
  if (status === TOO_MANY) return new ClusterBusyError(message, retryAfterMs(retryAfter));
  if (status >= 500 || status === REQUEST_TIMEOUT) return new ClusterUnreachableError(message);
  return new ClusterRefusedError(message, status);
}

export function unreachable(asked: string, cause: unknown): ClusterUnreachableError {
  return new ClusterUnreachableError(`Cannot ${asked}: no usable answer from the API server`, { cause });
}

/** Whether somebody has found words for it already. */
export function isClusterFault(error: unknown): error is ClusterUnreachableError | ClusterRefusedError {
  return error instanceof ClusterUnreachableError || error instanceof ClusterRefusedError;
}

/** The server's own sentence from its Status object, or its plain text. */
function wordsOf(body: string): string {
  let words: unknown = body;
  try {
    words = (JSON.parse(body) as { readonly message?: unknown }).message;
  } catch {
    // a proxy's page, or plain text
  }
  const text = typeof words === "string" ? words.trim().replaceAll(/\s+/g, " ") : "";
  return text === "" ? "" : `: ${text.slice(0, MAX_WORDS)}`;
}

/** Only seconds: the API server sends no dates. */
function retryAfterMs(header: string | undefined): number {
  const seconds = Number(header);
  return header !== undefined && Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : RETRY_AFTER_MS;
}
