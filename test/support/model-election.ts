import type { FoundLeadership, Leadership } from "../../src/core/election.ts";
import { StoreUnreachableError } from "../../src/core/errors.ts";
import type { SessionId } from "../../src/core/ids.ts";
import type { Election } from "../../src/leader/elector.ts";

type Fault = "fails" | "reply lost" | "hangs";

/** The lease of leadership in memory. The contract suite runs over it and over a real server. */
export class ModelElection implements Election {
  /** Who won each write, in order; `-`: it was given up. */
  readonly written: string[] = [];
  #found: FoundLeadership | undefined;
  #beat = 0;
  readonly #faults: Fault[] = [];
  readonly #hanging: (() => void)[] = [];
  isAway = false;

  /** What the next writes meet, one each. */
  fault(...faults: readonly Fault[]): void {
    this.#faults.push(...faults);
  }

  /** Lets every write land that hangs. */
  release(): void {
    for (const land of this.#hanging.splice(0)) land();
  }

  get holder(): SessionId | null | undefined {
    return this.#found?.record.holder;
  }

  /** Puts a record there, whoever had it. */
  put(record: Leadership): void {
    this.#found = { record, version: String(++this.#beat) };
  }

  async read(): Promise<FoundLeadership | undefined> {
    await Promise.resolve();
    if (this.isAway) throw new StoreUnreachableError("Cannot read who leads: the test says so");
    return this.#found;
  }

  async write(record: Leadership, expect: string | undefined): Promise<FoundLeadership | "conflict"> {
    await Promise.resolve();
    const fault = this.isAway ? "fails" : this.#faults.shift();
    if (fault === "fails") throw new StoreUnreachableError("Cannot write who leads: the test says so");
    if (fault === "hangs") await new Promise<void>((resolve) => this.#hanging.push(resolve));
    if (this.#found?.version !== expect) return "conflict";
    this.put(record);
    this.written.push(record.holder ?? "-");
    if (fault === "reply lost") throw new StoreUnreachableError("Cannot write who leads: the reply was lost");
    return { record, version: String(this.#beat) };
  }
}
