declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** A bot's name everywhere: the document's string `_id`, or the 24 hex digits of its ObjectId. */
export type BotId = Branded<string, "BotId">;
/** 0..MAX_SEGMENT-1 when it was given; stays valid if MAX_SEGMENT shrinks later. */
export type SegmentId = Branded<number, "SegmentId">;
/** Rises with each new owner of a segment: the fencing token. Starts at the Unix time in seconds. */
export type Epoch = Branded<number, "Epoch">;
/** One worker's life-line: the pod's UID; outside a cluster the Docker Engine's ID. */
export type SessionId = Branded<string, "SessionId">;
/** sha256 over a bot's normalised document: two equal hashes need no restart. */
export type SpecHash = Branded<string, "SpecHash">;
/** The Engine's own id of one container. */
export type ContainerId = Branded<string, "ContainerId">;

/** What a worker is called for all its lives: its pod's UID. The second session of one is `uid/2`. */
export function podOf(sid: SessionId): string {
  return sid.split("/", 1)[0] ?? sid;
}

/** The text that a usable `_id` stands for; empty for any other. */
export function keyOf(raw: RawId): string {
  return raw.kind === "string" ? raw.value : raw.kind === "objectId" ? raw.hex : "";
}

/** The longest `_id` a bot may have, in UTF-16 units. Source: design.md section 3. */
export const MAX_BOT_ID_LENGTH = 200;

/** What stood in `_id`, freed of the driver's classes. */
export type RawId =
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "objectId"; readonly hex: string }
  | { readonly kind: "other"; readonly text: string };

export type IdVerdict = { readonly ok: true; readonly id: BotId } | { readonly ok: false; readonly reason: string };

/** Decides which bot a document's `_id` names. Total: any value gives a verdict with a reason and a fix. */
export function botIdOf(raw: RawId): IdVerdict {
  switch (raw.kind) {
    case "objectId":
      return { ok: true, id: raw.hex as BotId };
    case "other":
      return { ok: false, reason: `_id: must be a string or an ObjectId, got ${raw.text}: insert the bot again under a string _id` };
    case "string":
      if (raw.value === "") return { ok: false, reason: "_id: must not be empty: insert the bot again under a name" };
      if (raw.value.length > MAX_BOT_ID_LENGTH)
        return {
          ok: false,
          reason: `_id: must have at most ${MAX_BOT_ID_LENGTH} characters, got ${raw.value.length}: insert the bot again under a shorter name`,
        };
      if (!raw.value.isWellFormed())
        return { ok: false, reason: "_id: must be well-formed Unicode: insert the bot again under a plain name" };
      return { ok: true, id: raw.value as BotId };
  }
}

const encoder = new TextEncoder();
const plain = /[A-Za-z0-9-]/;

/** The container's name, derived from the bot alone, so that one daemon can hold one container per bot.
 *  Injective: letters, digits and `-` stand for themselves, every other UTF-8 byte is `_` and two hex digits.
 *  Docker allows [A-Za-z0-9_.-] and sets no length; the longest id gives some 2,400 characters. */
export function containerName(id: BotId): string {
  let name = "bot-";
  for (const byte of encoder.encode(id)) {
    const char = String.fromCharCode(byte);
    name += byte < 128 && plain.test(char) ? char : `_${byte.toString(16).padStart(2, "0")}`;
  }
  return name;
}

/** Orders ids as MongoDB's simple collation does: by UTF-8 bytes, which is the order of code points, not of UTF-16 units. */
export function compareIds(a: string, b: string): number {
  const limit = Math.min(a.length, b.length);
  for (let i = 0; i < limit; i++) {
    if (a.charCodeAt(i) === b.charCodeAt(i)) continue;
    // The units differ here; a low surrogate's code point begins one unit earlier, and then the earlier units were equal.
    const [x, y] = [unitRank(a.charCodeAt(i)), unitRank(b.charCodeAt(i))];
    return x - y;
  }
  return a.length - b.length;
}

/** Surrogates (U+D800..DFFF) stand for code points above every other unit, so they rank after U+E000..FFFF. */
function unitRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
