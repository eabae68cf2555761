import type { BotReading } from "./bot.ts";
import type { BotId } from "./ids.ts";
import type { PlacementRecord } from "./records.ts";

export type AdmissionStep =
  /** A bot seen for the first time gets the segment it keeps for life. */
  | { readonly kind: "place"; readonly bot: BotId; readonly active: boolean }
  | { readonly kind: "activate"; readonly bot: BotId; readonly why: "enabled" | "changed" }
  | { readonly kind: "forget"; readonly bot: BotId }
  | { readonly kind: "report"; readonly bot: BotId; readonly faults: readonly string[] };

/** Decides what the leader does about one bot. Deactivating is not its business: only the segment's owner can prove
 *  that the bot has stopped, so a bot that should stop stays active until its owner says so. */
export function planAdmission(bot: BotId, reading: BotReading | undefined, placement: PlacementRecord | undefined): AdmissionStep[] {
  if (reading === undefined) return placement !== undefined && !placement.active ? [{ kind: "forget", bot }] : [];
  if (reading.kind === "invalid") {
    const report: AdmissionStep = { kind: "report", bot, faults: reading.faults };
    return placement === undefined ? [{ kind: "place", bot, active: false }, report] : placement.active ? [] : [report];
  }
  if (placement === undefined) return [{ kind: "place", bot, active: reading.enabled }];
  if (placement.active || !reading.enabled || placement.done === reading.hash) return [];
  return [{ kind: "activate", bot, why: placement.done === null ? "enabled" : "changed" }];
}
