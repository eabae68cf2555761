import type { MonoMs } from "./clock.ts";
import type { Sight } from "./election.ts";
import type { SessionId } from "./ids.ts";
import { rightOf, type Session } from "./session.ts";
import type { Timings } from "./timings.ts";

/** A worker is headless that has lost MongoDB and lives by its Lease alone: its bots run on, and nobody can take them away.
 *
 *  What follows counts from the first look at which it is so.
 *  INVARIANT: it gives up only when at each look for so long some leader was seen that renews and says that it reaches
 *  MongoDB: then others can take its bots over. With MongoDB away for all, nobody could, and bots run on. */
export type Headless = {
  /** When the last renewal was sent that MongoDB has acknowledged. */
  readonly since: MonoMs;
  /** Since when each look has shown a leader that reaches MongoDB; absent: the last look did not. */
  readonly vouchedSince?: MonoMs | undefined;
  /** Who that is. */
  readonly leader?: SessionId | undefined;
  readonly lookedAt: MonoMs;
};

/** After so many renewal intervals a headless worker gives up: 15 min where a session is renewed each second, and as much later as that
 *  is slower. Source: ownership.md "Worker". */
const GIVE_UP_RENEWALS = 900;

/** How long a headless worker keeps its bots under the eyes of a leader that reaches MongoDB, in ms. */
export function headlessLimitMs({ renewMs }: Pick<Timings, "renewMs">): number {
  return GIVE_UP_RENEWALS * renewMs;
}

/** One look of a worker at itself and at the lease of leadership; `undefined`: it is not headless. Whatever breaks the
 *  leader's word off, a look without it or a time without looks, has it counted anew: a bot that runs is worth more than
 *  one that might run elsewhere. */
export function observeHeadless(
  before: Headless | undefined,
  session: Session,
  leader: Sight | undefined,
  now: MonoMs,
  timings: Timings,
): Headless | undefined {
  const since = session.store.provenAt;
  if (since === undefined || session.lost !== undefined) return undefined;
  if (now - since < timings.softMs || rightOf(session, now, timings) === "stop") return undefined;
  const voucher = voucherOf(session.sid, leader, now);
  if (voucher === undefined) return { since, lookedAt: now };
  const goesOn = before?.vouchedSince !== undefined && now - before.lookedAt < voucher.leaseMs;
  return { since, vouchedSince: goesOn ? before.vouchedSince : now, leader: voucher.holder, lookedAt: now };
}

/** A leader that has renewed within its lease, as far as we have seen, and said with it that it reaches MongoDB. Our own word
 *  does not count: it is we who do not reach it. */
function voucherOf(self: SessionId, sight: Sight | undefined, now: MonoMs): { holder: SessionId; leaseMs: number } | undefined {
  const { holder = null, leaseMs = 0 } = sight?.found?.record ?? {};
  if (sight?.found?.reachesStore !== true || holder === null || holder === self || now - sight.since >= leaseMs) return undefined;
  return { holder, leaseMs };
}

export function mustGiveUp({ vouchedSince }: Headless, now: MonoMs, limitMs: number): boolean {
  return vouchedSince !== undefined && now - vouchedSince >= limitMs;
}

/** Whether a leader may say that it reaches MongoDB: within S it has both renewed its own session there, a write that a
 *  majority has acknowledged, and read the books. Reading alone would call a MongoDB reached that takes no writes, which makes
 *  every worker headless; S is also how long a session may miss renewals before others suspect it.
 *  @param renewedAt when that renewal was sent @param readAt when the reading's answer had come */
export function reachesStore(renewedAt: MonoMs | undefined, readAt: MonoMs | undefined, now: MonoMs, { softMs }: Timings): boolean {
  return renewedAt !== undefined && readAt !== undefined && now - renewedAt < softMs && now - readAt < softMs;
}
