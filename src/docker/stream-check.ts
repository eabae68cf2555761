import type { Container } from "../core/containers.ts";
import type { ContainerId } from "../core/ids.ts";

/** How far a container has come in its life, told by an event. */
const BY_ACTION: Readonly<Record<string, number>> = { start: 1, die: 2, destroy: 3 };
/** The same as a list shows it. A container in removal has ended or never ran: it proves no event but the last. */
const BY_STATE: Readonly<Record<Container["state"], number>> = { created: 0, removing: 0, running: 1, exited: 2 };
const GONE = 3;
/** Containers of which is remembered how far they have come by the stream. */
const REMEMBERED = 8_192;

/** An event that must have happened: the container has come at least so far. */
export type Missing = { readonly id: ContainerId; readonly stage: number };

/** Tells a silent event stream from one with nothing to say, by comparing each list with the one before and both with
 *  what the stream brought. An event may come before the list that shows it, or after: only what is told is remembered,
 *  not when. */
export class StreamCheck {
  readonly #told = new Map<ContainerId, number>();
  #before: ReadonlyMap<ContainerId, Container["state"]> | undefined;
  /** Lists are numbered as they are asked for; replies to older questions than this show nothing new. */
  #turn = 0;
  #asked = 0;

  /** An event was brought by the stream. */
  tell(id: ContainerId, action: string): void {
    const stage = BY_ACTION[action];
    if (stage === undefined) return;
    this.#told.delete(id);
    this.#told.set(id, stage);
    const [oldest] = this.#told.keys();
    if (this.#told.size > REMEMBERED && oldest !== undefined) this.#told.delete(oldest);
  }

  /** The stream was opened: what happened before is not asked of it, so the next list only begins the comparison. */
  open(): void {
    this.#before = undefined;
    this.#turn = this.#asked + 1;
  }

  /** A list is asked for. Its reply is to be compared under the number that this gives. */
  ask(): number {
    return ++this.#asked;
  }

  /** What the reply shows to have happened since the one before, and the stream has not brought so far. */
  compare(turn: number, containers: readonly Container[]): Missing[] {
    if (turn < this.#turn) return [];
    this.#turn = turn;
    const before = this.#before;
    const now = new Map(containers.map(({ id, state }) => [id, state]));
    this.#before = now;
    if (before === undefined) return [];
    const moved = [...now].flatMap(([id, state]) => (before.get(id) === state ? [] : [{ id, stage: BY_STATE[state] }]));
    const gone = [...before.keys()].flatMap((id) => (now.has(id) ? [] : [{ id, stage: GONE }]));
    return this.lacking([...moved, ...gone]);
  }

  /** Those that the stream has still not brought. */
  lacking(missing: readonly Missing[]): Missing[] {
    return missing.filter(({ id, stage }) => (this.#told.get(id) ?? 0) < stage);
  }
}
