import { InvalidArgumentError } from "commander";
import { parseConfig, type Config } from "../config.ts";
import { botIdOf, type BotId } from "../core/ids.ts";
import type { BotReader } from "../document/pick-reading.ts";
import { createBotReader } from "../document/read-bot.ts";
import { CommandError, EXIT } from "./exit-codes.ts";
import type { CliDeps, FleetBooks, UserBots } from "./ports.ts";
import { oneLine } from "./terminal.ts";

export type Output = { readonly output: "table" | "json" };
type Settings = { readonly config: Config; readonly read: BotReader };
export type Session = Settings & { readonly bots: UserBots };

/** What the commands share. */
export type CommandContext = {
  readonly deps: CliDeps;
  readonly print: (text: string) => void;
  readonly printJson: (value: unknown) => void;
  /** Lines for the person, on standard error. */
  readonly note: (lines: readonly string[]) => void;
  /** @throws {ConfigurationError} */
  readonly readSettings: () => Settings;
  /** Opens the store, and closes it whatever happens. */
  readonly withBots: (use: (session: Session) => Promise<void>, settings?: Settings) => Promise<void>;
  /** The same for the fleet's books. */
  readonly withFleet: (use: (books: FleetBooks, config: Config) => Promise<void>) => Promise<void>;
};

export function createContext(deps: CliDeps): CommandContext {
  const print = (text: string) => void deps.stdout.write(text);
  const note = (lines: readonly string[]) => lines.forEach((line) => deps.stderr.write(`${oneLine(line)}\n`));
  const readSettings = (): Settings => {
    const { config, warnings } = parseConfig(deps.env);
    note(warnings.map((w) => `warning: ${w}`));
    return { config, read: createBotReader(config) };
  };
  return {
    deps,
    print,
    printJson: (value) => print(`${JSON.stringify(value, null, 2)}\n`),
    note,
    readSettings,
    async withBots(use, settings = readSettings()) {
      const bots = await deps.openUserBots(settings.config);
      try {
        await use({ ...settings, bots });
      } finally {
        await bots.close();
      }
    },
    async withFleet(use) {
      const { config } = readSettings();
      const books = await deps.openFleetBooks(config);
      try {
        await use(books, config);
      } finally {
        await books.close();
      }
    },
  };
}

/** @throws {CommandError} for a word that can name no bot */
export function idOf(text: string): BotId {
  const verdict = botIdOf({ kind: "string", value: text });
  if (!verdict.ok) throw new CommandError(verdict.reason, EXIT.usage);
  return verdict.id;
}

/** A whole number of an option. @throws {InvalidArgumentError} */
export function count(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("It must be a whole number up to 999999.");
  return Number(text);
}

/** A whole number of seconds of an option. @throws {InvalidArgumentError} */
export function seconds(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError("It must be a whole number of seconds from 1 to 99999.");
  return Number(text);
}

export function missing(id: BotId): CommandError {
  return new CommandError(`Cannot find the bot ${JSON.stringify(id)}`, EXIT.missing);
}
