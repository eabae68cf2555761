import type { FoundDocument } from "../core/bot.ts";
import type { BotId } from "../core/ids.ts";
import { keyText } from "../document/faults.ts";
import type { BotReader } from "../document/pick-reading.ts";
import { readBotFile } from "./bot-file.ts";
import type { UserBots } from "./ports.ts";

export type Applied = { readonly bot: BotId; readonly result: "created" | "configured" | "unchanged" };
type Checked = { readonly bot: BotId; readonly where: string; readonly found: FoundDocument };
export type Plan = { readonly bots: readonly Checked[]; readonly faults: readonly string[]; readonly warnings: readonly string[] };

/** Decides what a file asks for. With any fault, nothing of it may be written. */
export function planApply(name: string, text: string, read: BotReader): Plan {
  const file = readBotFile(name, text);
  const faults = [...file.faults];
  const warnings: string[] = [];
  const bots = new Map<BotId, Checked>();
  for (const { where, found } of file.bots) {
    const reading = read(found);
    if (reading.kind === "invalid") {
      faults.push(...reading.faults.map((fault) => `${where}, ${keyText(reading.document)}: ${fault}`));
      continue;
    }
    const label = `${where}, ${keyText(reading.id)}`;
    warnings.push(...reading.warnings.map((warning) => `${label}: ${warning}`));
    const first = bots.get(reading.id);
    if (first !== undefined) faults.push(`${label}: _id: must not occur twice, got it in ${first.where} as well: rename one of the two`);
    else bots.set(reading.id, { bot: reading.id, where: label, found });
  }
  return { bots: [...bots.values()], faults, warnings };
}

/** Faults that only the stored bots show: an id that an ObjectId (or a string) spells already. */
export async function findTwins(plan: Plan, store: UserBots): Promise<string[]> {
  const faults: string[] = [];
  for (const { bot, where, found } of plan.bots) {
    if (!/^[0-9a-f]{24}$/.test(bot)) continue;
    const stored = await store.getBot(bot);
    if (stored.some(({ raw }) => raw.kind !== found.raw.kind))
      faults.push(`${where}: _id: must not be the string twin of an ObjectId, got a stored bot of the other kind: delete that one first`);
  }
  return faults;
}
