import { StoreUnreachableError } from "../core/errors.ts";
import { asStoreError } from "./errors.ts";

/** Part of the limit that one stage of a call may take: below 1, so that the driver's own fault, which says more, comes first. */
const STAGE = 0.8;

type Cursor<T> = { next(): Promise<T | null>; readBufferedDocuments(count: number): T[]; close(): Promise<void> };

/** Ends every call to MongoDB in time and names its fault. The driver bounds only the stages of a call (its `timeoutMS`
 *  has had no effect since 7.8), and it may go through them twice; so we stop waiting by ourselves. */
export class Guard {
  readonly #limitMs: number;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** The limit of each stage, in ms, for the driver's options. */
  get stageMs(): number {
    return Math.ceil(this.#limitMs * STAGE);
  }

  /** Runs one call. @throws {StoreUnreachableError} when no answer came in time: what was asked may still happen. */
  async call<T>(what: string, act: () => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const tell = (): void => reject(new StoreUnreachableError(`Cannot reach MongoDB to ${what}: no answer within ${this.#limitMs} ms`));
      timer = setTimeout(tell, this.#limitMs);
    });
    try {
      return await Promise.race([act(), late]);
    } catch (error) {
      throw asStoreError(error, what);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Reads a cursor, each batch within the limit, and closes it however its reader ends. The cursor was made with `signal`.
   *  @throws `signal.reason` once the signal aborts. */
  async *stream<T>(what: string, cursor: Cursor<T>, signal: AbortSignal): AsyncGenerator<T> {
    try {
      for (;;) {
        signal.throwIfAborted();
        // What came with the last reply is here: only the next reply is a call, with a timer and a race of its own.
        const [here] = cursor.readBufferedDocuments(1);
        const item = here ?? (await this.call(what, () => cursor.next()));
        if (item === null) return;
        yield item;
      }
    } catch (error) {
      signal.throwIfAborted(); // a cursor closed by the abort complains of being closed
      throw error;
    } finally {
      // Not waited for: the server ends it by its own limit if this does not arrive.
      void cursor.close().catch(() => {});
    }
  }
}
