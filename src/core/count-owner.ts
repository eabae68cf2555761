import type { MonoMs } from "./clock.ts";

/** After a switch to the native scaler the one before may write for so long, in ms: Helm removes its ScaledObject last, and then the
 *  finalizer and the garbage collector take their time. */
const GIVES_WAY_MS = 60_000;

/** What the leaders know of who had the count. Who wrote it stays its owner in `managedFields` for ever, an HPA that is gone too, and
 *  without a time; so it is remembered whom the operator's last word took it from. */
export type CountOwner = {
  /** Of the ConfigMap with that word. */
  readonly version: string;
  /** Who owned the count when this version came; null: nobody else, or he has lost it since. */
  readonly inherited: string | null;
};

export type SeenOwner = {
  readonly version: string;
  /** Who owns the count now, if it is not us. */
  readonly owner: string | undefined;
  /** Since when this leader knows that the native scaler has followed another one. */
  readonly switchedAt: MonoMs | undefined;
};

/** Decides who is foreign: an owner who is not the one that the operator took the count from. Any new version of the ConfigMap takes
 *  it from whoever has it; who writes after that is a second writer. */
export function decideCountOwner(
  past: CountOwner | undefined,
  { version, owner, switchedAt }: SeenOwner,
  now: MonoMs,
): { readonly state: CountOwner; readonly foreign: string | undefined } {
  const givesWay = switchedAt !== undefined && now - switchedAt < GIVES_WAY_MS;
  const before = past?.version === version ? past.inherited : (owner ?? null);
  const inherited = givesWay ? (owner ?? before) : owner === undefined ? null : before;
  return { state: { version, inherited }, foreign: owner === inherited ? undefined : owner };
}
