import { BotRunnerError, ConfigurationError, EngineUnreachableError, StoreUnreachableError } from "../core/errors.ts";

/** Exit codes: 2 as shells use it, the rest from sysexits.h. They are a contract, docs/cli.md lists them. */
export const EXIT = { ok: 0, failure: 1, usage: 2, data: 65, missing: 66, unavailable: 69, configuration: 78 } as const;

export const EXIT_MEANINGS: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.ok, "done"],
  [EXIT.failure, "failed for another reason; the message says which"],
  [EXIT.usage, "the command line is wrong"],
  [EXIT.data, "a file is not readable as YAML or JSON, or a bot in it is invalid; nothing was written"],
  [EXIT.missing, "no such bot, worker or file"],
  [EXIT.unavailable, "MongoDB or the Docker Engine cannot be reached"],
  [EXIT.configuration, "the configuration is wrong; the message names every fault"],
];

/** A command that cannot do what it was told: its text is for the person, its code for the script. */
export class CommandError extends BotRunnerError {
  readonly code = "COMMAND";
  readonly exitCode: number;
  constructor(message: string, exitCode: number, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof ConfigurationError) return EXIT.configuration;
  return error instanceof StoreUnreachableError || error instanceof EngineUnreachableError ? EXIT.unavailable : EXIT.failure;
}

/** The message and the messages of its causes, or of all that went wrong together, without stacks. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError) return [error.message, ...error.errors.map((one) => `  - ${errorText(one)}`)].join("\n");
  return error.cause === undefined ? error.message : `${error.message}\n  caused by: ${errorText(error.cause)}`;
}
