import { ClusterRefusedError, ClusterUnreachableError, StoreUnreachableError } from "../core/errors.ts";

/** The election's port knows one fault: no lease by this call. A refusal is one, too: a Role that is being changed must not
 *  end the process, whose bots run on; the cause names verb and resource.
 *  @throws {StoreUnreachableError} */
export async function passingAsStore<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    if (cause instanceof ClusterUnreachableError || cause instanceof ClusterRefusedError) {
      throw new StoreUnreachableError(`Cannot ${what}: ${cause.message}`, { cause });
    }
    throw cause;
  }
}
