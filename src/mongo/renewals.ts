import type { Operation } from "../core/operations.ts";
import type { WorkerRecord } from "../core/records.ts";
import type { Renewals } from "../worker/renewer.ts";
import { type MongoOptions, type OpenClient, openClient } from "./connect.ts";
import { MongoStore } from "./store.ts";

/** Renewals over a client of their own: nothing that the rest of the process does can keep them waiting for a connection.
 *  Connects when it is first needed, and again when that has failed. */
export class MongoRenewals implements Renewals {
  readonly #options: MongoOptions;
  #opening: Promise<OpenClient> | undefined;

  constructor(options: MongoOptions) {
    this.#options = options;
  }

  async renew(operation: Operation): Promise<WorkerRecord | undefined> {
    return (await this.#store()).renew(operation);
  }

  async workers(): Promise<readonly WorkerRecord[]> {
    return (await this.#store()).workers();
  }

  async #store(): Promise<MongoStore> {
    const { dbName, collectionName } = this.#options;
    this.#opening ??= openClient(this.#options);
    try {
      const { client, guard } = await this.#opening;
      const db = client.db(dbName);
      return new MongoStore(db, db.collection(collectionName), guard);
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }
}
