import type { BotReading, FoundDocument } from "../core/bot.ts";

export type BotReader = (found: FoundDocument, twin?: boolean) => BotReading;

/** Reads what stands under one bot id. An ObjectId and the string that spells it are twins: the ObjectId is the bot,
 *  because it was there under that name first in every database that did not set out to confuse. */
export function pickReading(found: readonly FoundDocument[], read: BotReader): BotReading | undefined {
  const first = found.find((f) => f.raw.kind === "objectId") ?? found[0];
  return first === undefined ? undefined : read(first);
}
