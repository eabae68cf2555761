import { createLogger, format, transports } from "winston";
import { BotRunnerError } from "../core/errors.ts";

type Fields = Readonly<Record<string, unknown>>;

/** A log line is a constant sentence plus fields: what varies goes into the fields. */
export interface Log {
  debug(sentence: string, fields?: Fields): void;
  info(sentence: string, fields?: Fields): void;
  warn(sentence: string, fields?: Fields): void;
  error(sentence: string, fields?: Fields): void;
}

export type LogOptions = { readonly level: string; readonly format: "json" | "text"; readonly stream: NodeJS.WritableStream };

/** Writes JSON lines, or text for people: `time LEVEL sentence key=value ...`. */
export function createLog({ level, format: style, stream }: LogOptions): Log & { close(): void } {
  const shape =
    style === "json"
      ? format.combine(format.timestamp(), format.json())
      : format.combine(
          format.timestamp(),
          format.printf(({ timestamp, level: at, message, ...fields }) =>
            [timestamp, at.toUpperCase(), message, ...pairs(fields)].join(" "),
          ),
        );
  const logger = createLogger({ level, format: shape, transports: [new transports.Stream({ stream })] });
  const write =
    (at: string) =>
    (sentence: string, fields: Fields = {}): void =>
      void logger.log({ level: at, message: sentence, ...plain(fields) });
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error"), close: () => logger.close() };
}

/** Fields that say nothing are left out, so that `grep -i error` finds faults only; errors become text with their causes. */
function plain(fields: Fields): Record<string, unknown> {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return Object.fromEntries(kept.map(([key, value]) => [key, value instanceof Error ? describe(value) : value]));
}

/** An error in one line: code, text, and the text of each cause. A fault nobody foresaw brings its stack. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = error instanceof BotRunnerError ? `${error.code}: ` : "";
  const inner = error instanceof AggregateError ? error.errors.map((e) => describe(e)).join("; ") : "";
  const own = error instanceof BotRunnerError || error instanceof AggregateError ? error.message : (error.stack ?? error.message);
  return [`${code}${own}`, inner, error.cause === undefined ? "" : describeCause(error.cause)].filter((part) => part !== "").join(": ");
}

function describeCause(cause: unknown): string {
  return cause instanceof Error
    ? [cause.message, cause.cause === undefined ? "" : describeCause(cause.cause)].filter((p) => p !== "").join(": ")
    : String(cause);
}

function pairs(fields: Record<string, unknown>): string[] {
  return Object.entries(fields).map(([key, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return `${key}=${/[\s"=]/.test(text) ? JSON.stringify(text) : text}`;
  });
}
