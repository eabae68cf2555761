import type { IncomingMessage } from "node:http";
import { retryDelayMs } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { ClusterRefusedError } from "../core/errors.ts";
import type { ApiClient } from "./client.ts";
import { ClusterBusyError, faultOf, isClusterFault, unreachable } from "./faults.ts";
import type { RawObject } from "./objects.ts";

export type WatchedListOptions<T> = {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly random: () => number;
  /** The resource as a Role names it, for errors. */
  readonly what: string;
  readonly path: string;
  /** Selectors. */
  readonly query?: Readonly<Record<string, string>>;
  /** What is kept of an object; `undefined`: it is none of ours. */
  readonly pick: (raw: RawObject) => T | undefined;
  readonly onChange: () => void;
  /** Called with each fault before the next try. */
  readonly onFault?: ((error: unknown) => void) | undefined;
  /** A stream that brings nothing for so long is dead, in ms: bookmarks come about once a minute. @default 90,000 */
  readonly idleMs?: number;
};

/** Time of one list, and until a watch is accepted, in ms. */
const CALL_MS = 10_000;
const PAGE = 500;
const IDLE_MS = 90_000;
/** The server ends a watch after so long and up to twice that, in seconds. */
const WATCH_S = 300;
/** A stream that lived so long was a good one, in ms: the next wait is the shortest again. */
const GOOD_MS = 5_000;
/** Longest wait between tries, in ms. */
const MAX_WAIT_MS = 5_000;
const GONE = 410;

type Page = {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly RawObject[];
};
type WatchEvent = { readonly type?: string; readonly object?: RawObject };

/** A copy of a collection, kept by one list and then watches, each from where the last one ended.
 *
 *  unread -(list)-> listed -(watch accepted)-> fresh -(ended in order)-> fresh, the next watch at once;
 *  -(broken, idle, refused)-> unread until a watch from the same version is accepted, which brings all that was missed;
 *  -(410)-> unread until the next list. */
export class WatchedList<T> {
  readonly #options: WatchedListOptions<T>;
  #items = new Map<string, T>();
  #version: string | undefined;
  #isFresh = false;
  #cut: AbortController | undefined;

  constructor(options: WatchedListOptions<T>) {
    this.#options = options;
  }

  /** By name. As last seen, whether fresh or not. */
  get items(): ReadonlyMap<string, T> {
    return this.#items;
  }

  /** Whether the copy follows the server, but for what is under way. */
  get isFresh(): boolean {
    return this.#isFresh;
  }

  /** Something proved the copy to be behind: lists again. */
  distrust(): void {
    if (!this.#isFresh) return;
    this.#version = undefined;
    this.#isFresh = false;
    this.#cut?.abort();
  }

  /** Until the signal aborts. A server that is away or refuses never ends it. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, onFault } = this.#options;
    for (let attempt = 0; !signal.aborted; attempt++) {
      const began = clock.mono();
      let waitMs = 0;
      try {
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) break;
        if (!isClusterFault(error)) throw error;
        const isGone = error instanceof ClusterRefusedError && error.status === GONE;
        if (isGone) this.#version = undefined;
        else onFault?.(error);
        this.#lose();
        if (error instanceof ClusterBusyError) waitMs = error.retryAfterMs;
        else if (!isGone) waitMs = 1;
      }
      const isGood = clock.mono() - began >= GOOD_MS;
      if (isGood) attempt = 0;
      // The first stream that ends in order, and the first 410, cost no wait: only what comes again and again does.
      if (waitMs > 0 || (attempt > 0 && !isGood)) {
        const ms = Math.max(waitMs, Math.min(MAX_WAIT_MS, retryDelayMs(attempt, random)));
        await clock.sleep(ms, signal).catch(() => {});
      }
    }
    this.#lose();
  }

  #lose(): void {
    if (!this.#isFresh) return;
    this.#isFresh = false;
    this.#options.onChange();
  }

  async #follow(outer: AbortSignal): Promise<void> {
    const cut = new AbortController();
    this.#cut = cut;
    const signal = AbortSignal.any([outer, cut.signal]);
    try {
      const version = (this.#version ??= await this.#list(signal));
      await this.#watch(version, signal);
    } catch (error) {
      if (!cut.signal.aborted) throw error;
    } finally {
      this.#cut = undefined;
      cut.abort();
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { client, what, path, query, pick } = this.#options;
    const items = new Map<string, T>();
    let page: Page;
    let next: string | undefined;
    do {
      const asked = new URLSearchParams({ ...query, limit: String(PAGE), ...(next !== undefined && { continue: next }) });
      page = (await client.call({ verb: "list", what, path: `${path}?${asked.toString()}`, limitMs: CALL_MS, signal })).body as Page;
      for (const raw of page.items ?? []) {
        const picked = pick(raw);
        if (picked !== undefined && raw.metadata?.name !== undefined) items.set(raw.metadata.name, picked);
      }
      next = page.metadata?.continue === "" ? undefined : page.metadata?.continue;
    } while (next !== undefined);
    this.#items = items;
    this.#isFresh = true;
    this.#options.onChange();
    return page.metadata?.resourceVersion ?? "";
  }

  async #watch(version: string, signal: AbortSignal): Promise<void> {
    const { client, what, path, query, random, onChange, idleMs = IDLE_MS } = this.#options;
    const asked = new URLSearchParams({
      ...query,
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion: version,
      timeoutSeconds: String(Math.round(WATCH_S * (1 + random()))),
    });
    const body = await client.open({ verb: "watch", what, path: `${path}?${asked.toString()}`, limitMs: CALL_MS, signal });
    if (!this.#isFresh) {
      this.#isFresh = true;
      onChange();
    }
    try {
      for await (const line of linesOf(body, idleMs)) this.#take(JSON.parse(line) as WatchEvent);
    } catch (error) {
      signal.throwIfAborted();
      if (isClusterFault(error)) throw error;
      throw unreachable(`watch ${what}`, error);
    } finally {
      body.destroy();
    }
  }

  #take({ type, object = {} }: WatchEvent): void {
    if (type === "ERROR") throw faultOf(Number(object["code"] ?? 500), JSON.stringify(object), `watch ${this.#options.what}`);
    const { name, resourceVersion } = object.metadata ?? {};
    if (resourceVersion !== undefined) this.#version = resourceVersion;
    if (type === "BOOKMARK" || name === undefined) return;
    const picked = type === "DELETED" ? undefined : this.#options.pick(object);
    if (picked === undefined) this.#items.delete(name);
    else this.#items.set(name, picked);
    this.#options.onChange();
  }
}

/** The stream's whole lines. A last line that was cut off is none: its event comes again with the next watch. */
async function* linesOf(body: IncomingMessage, idleMs: number): AsyncGenerator<string> {
  let rest = "";
  const timer = setTimeout(() => body.destroy(new Error(`Nothing came for ${idleMs} ms`)), idleMs);
  try {
    for await (const chunk of body.setEncoding("utf8")) {
      timer.refresh();
      const lines = (rest + (chunk as string)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line !== "") yield line;
    }
  } finally {
    clearTimeout(timer);
  }
}
