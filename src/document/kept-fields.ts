/** Fields that commands write and files seldom name. */
const KEPT = ["restartedAt"] as const;

/** What a file's document becomes when it replaces a stored one: a field that only a command wrote stays unless the file
 *  names it. Else an `apply` of an unchanged file would restart every bot that was ever restarted by hand. */
export function withKeptFields(
  written: Readonly<Record<string, unknown>>,
  stored: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const kept = KEPT.filter((field) => stored[field] !== undefined && !Object.hasOwn(written, field));
  return { ...written, ...Object.fromEntries(kept.map((field) => [field, stored[field]])) };
}
