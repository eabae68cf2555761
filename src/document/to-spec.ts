import type { BotSpec } from "../core/bot.ts";
import { parseBytes, parseCpus, type QuantityVerdict } from "../core/quantity.ts";
import { DEFAULTS, type WrittenBot } from "./bot-schema.ts";

/** Fills in every default of a document that the schema let pass. */
export function toSpec(bot: WrittenBot): BotSpec {
  const { command = [], args = [], resources = {}, security = {} } = bot;
  return {
    image: bot.image,
    ...(bot.imagePullPolicy === undefined || bot.imagePullPolicy === DEFAULTS.imagePullPolicy
      ? {}
      : { imagePullPolicy: bot.imagePullPolicy }),
    // The Engine takes an empty list for "as the image says", so it is the same as none.
    ...(command.length > 0 ? { command } : {}),
    ...(args.length > 0 ? { args } : {}),
    env: bot.env ?? {},
    ...(bot.config === undefined ? {} : { config: bot.config }),
    resources: {
      memoryBytes: amount(parseBytes(String(resources.memory ?? DEFAULTS.memory))),
      ...(resources.cpu === undefined ? {} : { nanoCpus: amount(parseCpus(String(resources.cpu))) }),
      pids: resources.pids ?? DEFAULTS.pids,
    },
    restart: bot.restart ?? DEFAULTS.restart,
    stopGraceSeconds: bot.stopGraceSeconds ?? DEFAULTS.stopGraceSeconds,
    labels: bot.labels ?? {},
    security: {
      readOnlyRootFilesystem: security.readOnlyRootFilesystem ?? false,
      ...(security.user === undefined ? {} : { user: String(security.user) }),
      capabilities: [...new Set(security.capabilities ?? [])].sort(),
    },
    // Absent it is left out: a bot that was never restarted by hand keeps the hash it has.
    ...(bot.restartedAt === undefined ? {} : { restartedAt: new Date(bot.restartedAt).toISOString() }),
  };
}

function amount(verdict: QuantityVerdict): number {
  if (!verdict.ok) throw new RangeError(`Cannot use a quantity that the schema let pass: ${verdict.reason}`);
  return verdict.value;
}
