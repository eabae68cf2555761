import { z } from "zod";

/** The shapes an environment variable may have. Each reads a non-empty string and says in one phrase what it must be. */
export type Reader<T> = z.ZodType<T, string>;

function reader<T>(read: (text: string) => T | undefined, wrong: string): Reader<T> {
  return z.string().transform((text, context) => {
    const value = read(text);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: wrong });
    return z.NEVER;
  });
}

export const whole = (min: number, max: number): Reader<number> =>
  reader(
    (text) => (/^\d{1,15}$/.test(text) && inRange(Number(text), min, max) ? Number(text) : undefined),
    `must be a whole number from ${min} to ${max}`,
  );

/** Seconds, fractions allowed. */
export const seconds = (min: number, max: number): Reader<number> =>
  reader(
    (text) => (/^\d{1,9}(\.\d{1,3})?$/.test(text) && inRange(Number(text), min, max) ? Number(text) : undefined),
    `must be a number of seconds from ${min} to ${max}`,
  );

const inRange = (n: number, min: number, max: number) => n >= min && n <= max;

export const bool: Reader<boolean> = reader((text) => ({ true: true, false: false })[text.toLowerCase()], "must be true or false");

export const oneOf = <const T extends string>(...words: readonly T[]): Reader<T> =>
  reader((text) => words.find((word) => word === text), `must be ${words.slice(0, -1).join(", ")} or ${words.at(-1)}`);

const matching = (pattern: RegExp, wrong: string): Reader<string> => reader((text) => (pattern.test(text) ? text : undefined), wrong);

/** A name that Kubernetes takes for an object. */
export const objectName = matching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, "must be lower-case letters, digits, - and . (at most 253)");
export const anyName = matching(/^[\w.:/-]{1,253}$/, "must be letters, digits, -, _, ., : and / (at most 253)");
export const databaseName = matching(
  /^[^/\\. "$*<>:|?\0]{1,63}$/,
  'must be a MongoDB database name: at most 63 characters without / \\ . " $ * < > : | ? or spaces',
);
export const collectionName = matching(
  /^(?!system\.|runtime\.)[^$\0]{1,120}$/,
  "must be a MongoDB collection name without $ that does not start with system. or runtime. (those are not yours)",
);
export const mongoUri = matching(
  /^mongodb(\+srv)?:\/\/([^@]*@)?[^@/?\s]+(\/[^@\s]*)?(\?\S*)?$/,
  "must start with mongodb:// or mongodb+srv:// and name a host",
);
export const dockerHost = matching(/^(unix:\/\/\/.+|(tcp|http):\/\/[^/@\s]+)$/, "must be unix:///path or tcp://host:port");
export const absolutePath = matching(/^\/[^\0]*$/, "must be an absolute path");
/** What may stand in `Authorization: Bearer ...`. */
export const token = matching(/^[\x21-\x7e]{1,4096}$/, "must be visible ASCII characters without spaces (at most 4096)");
