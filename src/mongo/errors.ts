import { MongoError, MongoNetworkError, MongoOperationTimeoutError, MongoServerError, MongoServerSelectionError } from "mongodb";
import { StoreUnreachableError } from "../core/errors.ts";

/** Server codes that pass by themselves: elections, shutdowns, time limits. Source: the drivers' retryable-errors specification. */
const PASSING = new Set([
  6, 7, 50, 63, 64, 89, 91, 100, 133, 134, 150, 189, 202, 234, 262, 317, 358, 384, 9001, 10058, 10107, 11600, 11602, 13435, 13436,
]);

/** Index key too large apart, the only way a single-document insert or upsert meets an equal `_id`. */
export function isDuplicateKey(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === 11_000;
}

/** The server has no change streams: stand-alone, or a store that only speaks the protocol. */
export function isWithoutChangeStreams(error: unknown): boolean {
  return error instanceof MongoServerError && [40_573, 40_324, 59, 115, 303].includes(Number(error.code));
}

/** Turns what passes by itself into our own class and leaves every other fault as it is: it is a bug or a lack of rights. */
function asStoreError(error: unknown, what: string): unknown {
  if (!(error instanceof MongoError)) return error;
  const passes =
    error instanceof MongoNetworkError ||
    error instanceof MongoServerSelectionError ||
    error instanceof MongoOperationTimeoutError ||
    error.name === "MongoTopologyClosedError" ||
    error.name === "MongoNotConnectedError" ||
    error.name === "PoolClearedError" ||
    error.name === "MongoWaitQueueTimeoutError" ||
    error.hasErrorLabel("RetryableWriteError") ||
    error.hasErrorLabel("TransientTransactionError") ||
    error.hasErrorLabel("ResumableChangeStreamError") ||
    (error instanceof MongoServerError && PASSING.has(Number(error.code)));
  return passes ? new StoreUnreachableError(`Cannot reach MongoDB to ${what}`, { cause: error }) : error;
}

/** No call waits longer, in ms. The driver has no such limit of its own (timeoutMS does nothing since 7.9). */
export const CALL_LIMIT_MS = 10_000;

/** Runs one call; see `asStoreError`. A call over its limit counts as unanswered: it may still land. */
export async function guarded<T>(what: string, act: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new StoreUnreachableError(`Cannot ${what}: MongoDB did not answer within ${CALL_LIMIT_MS} ms`)),
      CALL_LIMIT_MS,
    );
  });
  try {
    return await Promise.race([act(), limit]);
  } catch (error) {
    throw asStoreError(error, what);
  } finally {
    clearTimeout(timer);
  }
}

/** The same for a cursor, which is closed however its reader ends. */
export async function* guardedStream<T>(
  what: string,
  cursor: AsyncIterable<T> & { close(): Promise<void> },
  signal: AbortSignal,
): AsyncGenerator<T> {
  try {
    for await (const item of cursor) {
      signal.throwIfAborted();
      yield item;
    }
  } catch (error) {
    throw asStoreError(error, what);
  } finally {
    await cursor.close().catch(() => {}); // a cursor that cannot be closed is closed by the server's own time limit
  }
}
