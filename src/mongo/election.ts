import type { Db } from "mongodb";
import type { FoundLeadership, Leadership } from "../core/election.ts";
import type { Election } from "../leader/elector.ts";
import { isDuplicateKey } from "./errors.ts";
import { Guard } from "./guard.ts";

/** `beat` rises with every write: the version. */
type LeaseDocument = Leadership & { readonly _id: "election"; readonly beat: number };

/** The lease of leadership as a document of `runtime.control`, for COORDINATION=mongo. */
export class MongoElection implements Election {
  readonly #db: Db;
  readonly #guard: Guard;

  /** @param limitMs no call takes longer. Source: ownership.md "Timing", below two retry periods */
  constructor(db: Db, limitMs: number) {
    this.#db = db;
    this.#guard = new Guard(limitMs);
  }

  read(): Promise<FoundLeadership | undefined> {
    return this.#guard.call("read who leads", async () => {
      const found = await this.#control().findOne({ _id: "election" });
      return found === null ? undefined : asFound(found);
    });
  }

  write(record: Leadership, expect: string | undefined): Promise<FoundLeadership | "conflict"> {
    return this.#guard.call("write who leads", async () => {
      if (expect === undefined) {
        try {
          await this.#control().insertOne({ _id: "election", ...record, beat: 1 });
          return { record, version: "1" };
        } catch (error) {
          if (isDuplicateKey(error)) return "conflict";
          throw error;
        }
      }
      const beat = Number(expect);
      const { matchedCount } = await this.#control().updateOne({ _id: "election", beat }, { $set: { ...record }, $inc: { beat: 1 } });
      return matchedCount === 1 ? { record, version: String(beat + 1) } : "conflict";
    });
  }

  #control() {
    return this.#db.collection<LeaseDocument>("runtime.control");
  }
}

function asFound({ holder, leaseMs, changes, beat }: LeaseDocument): FoundLeadership {
  return { record: { holder, leaseMs, changes }, version: String(beat) };
}
