import type { Clock, MonoMs } from "../core/clock.ts";
import { BotRunnerError } from "../core/errors.ts";
import { judgeLease, type LeaseVersion, renewLease } from "../core/lease.ts";
import type { LeaseOutcome, Session } from "../core/session.ts";
import type { OwnLease } from "./own-lease.ts";

export type LeaseRenewerOptions = {
  readonly lease: OwnLease;
  readonly clock: Clock;
  /** Which life of the database the session belongs to. */
  readonly incarnation: string;
};

/** How a renewal went; `sentAt`: what it is counted from. */
export type LeaseTry = { readonly sentAt: MonoMs; readonly outcome: LeaseOutcome; readonly error?: unknown };

/** O1': one session's own Lease. It is read before the first write and after each conflict, for only its content tells
 *  whether somebody has marked it, or a write of ours has landed whose answer was lost. */
export class LeaseRenewer {
  readonly #options: LeaseRenewerOptions;
  #isKnown = false;
  #version: LeaseVersion | undefined;

  constructor(options: LeaseRenewerOptions) {
    this.#options = options;
  }

  /** Renews once. Never throws for what passes: then the outcome is `unknown`. */
  async renew(session: Session): Promise<LeaseTry> {
    const { clock } = this.#options;
    const sentAt = clock.mono();
    try {
      if (this.#isKnown) {
        const outcome = await this.#write(session);
        if (outcome !== "conflict") return { sentAt, outcome };
      }
      const found = await this.#read(session);
      if (found !== "mine") return { sentAt, outcome: found };
      const again = clock.mono();
      const outcome = await this.#write(session);
      // Somebody has written in between: the next round looks again.
      return { sentAt: again, outcome: outcome === "conflict" ? "unknown" : outcome };
    } catch (error) {
      if (!(error instanceof BotRunnerError)) throw error;
      return { sentAt, outcome: "unknown", error };
    }
  }

  async #write({ sid, inc }: Session): Promise<"renewed" | "conflict"> {
    const { lease, incarnation } = this.#options;
    const reply = await lease.write(renewLease({ sid, inc, incarnation }, this.#version));
    if (reply.kind === "conflict") return "conflict";
    this.#version = reply.version;
    return "renewed";
  }

  async #read({ sid, inc }: Session): Promise<"mine" | "barred" | "replaced"> {
    const { lease, incarnation } = this.#options;
    const found = await lease.get(sid);
    const isFirst = !this.#isKnown;
    this.#isKnown = true;
    // A marked one's, too: once the session has proven that it lives, that is the version to write over.
    this.#version = found?.version;
    return found === undefined && isFirst ? "mine" : judgeLease(found, { inc, incarnation });
  }
}
