import {
  MongoBulkWriteError,
  MongoError,
  MongoNetworkError,
  MongoOperationTimeoutError,
  MongoServerError,
  MongoServerSelectionError,
} from "mongodb";
import { StoreUnreachableError } from "../core/errors.ts";

/** Server codes that pass by themselves: elections, shutdowns, time limits, lost cursors, a full disk or quota. Sources: the drivers'
 *  retryable-reads and change-stream specifications, and mongod's error_codes.yml. */
const PASSING = new Set([
  6, 7, 24, 43, 46, 50, 63, 64, 89, 91, 100, 112, 133, 134, 150, 175, 189, 202, 234, 237, 262, 317, 358, 384, 8000, 9001, 10058, 10107,
  11600, 11601, 11602, 13388, 13435, 13436, 14031,
]);
/** What the driver calls the faults of its own connections that have no class for export. */
const PASSING_NAMES = new Set([
  "MongoTopologyClosedError",
  "MongoNotConnectedError",
  "MongoWaitQueueTimeoutError",
  "MongoClientClosedError",
]);
const PASSING_LABELS = ["RetryableWriteError", "TransientTransactionError", "ResumableChangeStreamError", "SystemOverloadedError"];
/** History lost and a stream that cannot go on: a new stream can. */
const STREAM_OVER = new Set([280, 286]);
const UNAUTHORIZED = 13;
const AUTHENTICATION_FAILED = 18;
const DUPLICATE_KEY = 11_000;

/** A document with this `_id` is there. None of our collections has another unique index. */
export function isDuplicateKey(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === DUPLICATE_KEY;
}

/** Nothing else went wrong with any document of a bulk than that it was there already. */
export function areDuplicateKeys(error: unknown): boolean {
  if (!(error instanceof MongoBulkWriteError)) return false;
  const faults = [error.writeErrors].flat();
  return faults.length > 0 && faults.every(({ code }) => code === DUPLICATE_KEY) && error.result.getWriteConcernError() === undefined;
}

export function isAuthenticationFailure(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === AUTHENTICATION_FAILED;
}

export function isUnauthorized(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === UNAUTHORIZED;
}

/** The server opens no change stream and will not do so in a moment: it stands alone, only speaks the protocol, or the
 *  user may not watch. */
export function refusesChangeStreams(error: unknown): boolean {
  return error instanceof MongoServerError && !passes(error) && !STREAM_OVER.has(Number(error.code));
}

/** Turns what passes by itself into our own class and leaves every other fault as it is: it is a bug or a lack of rights. */
export function asStoreError(error: unknown, what: string): unknown {
  return error instanceof MongoError && passes(error)
    ? new StoreUnreachableError(`Cannot reach MongoDB to ${what}`, { cause: error })
    : error;
}

function passes(told: MongoError): boolean {
  const error = inner(told);
  return (
    error instanceof MongoNetworkError ||
    error instanceof MongoServerSelectionError ||
    error instanceof MongoOperationTimeoutError ||
    PASSING_NAMES.has(error.name) ||
    PASSING_LABELS.some((label) => error.hasErrorLabel(label)) ||
    (error instanceof MongoServerError && PASSING.has(Number(error.code)))
  );
}

/** A bulk tells the fault of its connection, or of its whole command, as one of its own. */
function inner(error: MongoError): MongoError {
  const cause: unknown = error instanceof MongoBulkWriteError ? error.errorResponse : undefined;
  return cause instanceof MongoError ? cause : error;
}
