import type { Clock } from "../core/clock.ts";
import type { FoundLeadership, Leadership } from "../core/election.ts";
import type { SessionId } from "../core/ids.ts";
import type { Election } from "../leader/elector.ts";
import { type ApiClient, FIELD_MANAGER } from "./client.ts";
import { electionBody, type FoundElection, readElection } from "./election-lease.ts";
import { type OwnerReference, pathOf, type RawObject } from "./objects.ts";
import { WatchedList } from "./watched-list.ts";
import { LEASES } from "./worker-lease.ts";

export type KubernetesElectionOptions = {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly namespace: string;
  /** LEASE_LOCK_NAME. */
  readonly name: string;
  /** Owns a Lease that has to be made. */
  readonly owner: OwnerReference;
  readonly self: SessionId;
  /** Whether this process reaches MongoDB at this moment: asked with each write, and said with it to all who watch the Lease. */
  readonly reachesStore: () => boolean;
  /** No call takes longer, in ms. Source: ownership.md "Timing", below two retry periods */
  readonly callMs: number;
  /** Called when the watched copy shows that nobody holds it. */
  readonly onFree?: () => void;
  readonly onFault?: (error: unknown) => void;
};

/** The lease of leadership as a Lease of Kubernetes, by client-go's record. Standbys read a watched copy and ask for nothing;
 *  who holds it, or has just been told no, asks the server.
 *  INVARIANT: `write` replaces exactly the object whose version the caller has seen. */
export class KubernetesElection implements Election {
  readonly #options: KubernetesElectionOptions;
  readonly #watched: WatchedList<FoundElection>;
  /** The last object of any source, for its metadata. */
  #last: FoundElection | undefined;
  /** The copy may be behind what this process knows. */
  #isDoubtful = false;

  constructor(options: KubernetesElectionOptions) {
    this.#options = options;
    const { client, clock, random, namespace, name, onFault } = options;
    this.#watched = new WatchedList({
      client,
      clock,
      random,
      what: `leases "${name}"`,
      path: pathOf(LEASES, namespace, "leases"),
      query: { fieldSelector: `metadata.name=${name}` },
      pick: readElection,
      onChange: () => {
        if (this.#watched.items.get(name)?.record.holder === null) options.onFree?.();
      },
      onFault,
    });
  }

  /** Keeps the copy until the signal aborts. Without it each look is a request. */
  run(signal: AbortSignal): Promise<void> {
    return this.#watched.run(signal);
  }

  read(): Promise<FoundLeadership | undefined> {
    const { name, self } = this.#options;
    const holds = this.#last?.record.holder === self;
    if (!this.#watched.isFresh || this.#isDoubtful || holds) return this.#get();
    return Promise.resolve((this.#last = this.#watched.items.get(name)));
  }

  async write(record: Leadership, expect: string | undefined): Promise<FoundLeadership | "conflict"> {
    const { client, clock, namespace, name, owner, callMs, reachesStore } = this.#options;
    const isNew = expect === undefined;
    if (!isNew && this.#last?.version !== expect) await this.#get();
    const found = isNew ? undefined : this.#last;
    if (found?.version !== expect) return this.#conflict();
    this.#isDoubtful = true; // until the answer has come
    const reply = await client.call({
      verb: isNew ? "create" : "update",
      what: `leases "${name}"`,
      path: `${pathOf(LEASES, namespace, "leases", isNew ? undefined : name)}?fieldManager=${FIELD_MANAGER}`,
      body: electionBody({ name, namespace, record, reachesStore: reachesStore(), found, owner, now: clock.wall() }),
      limitMs: callMs,
      expect: [404, 409],
    });
    const written = reply.status < 400 ? readElection(reply.body as RawObject) : undefined;
    if (written === undefined) return this.#conflict();
    this.#last = written;
    return { record, version: written.version };
  }

  #conflict(): "conflict" {
    this.#isDoubtful = true;
    this.#watched.distrust();
    return "conflict";
  }

  async #get(): Promise<FoundElection | undefined> {
    const { client, namespace, name, callMs } = this.#options;
    const path = pathOf(LEASES, namespace, "leases", name);
    const { status, body } = await client.call({ verb: "get", what: `leases "${name}"`, path, limitMs: callMs, expect: [404] });
    this.#last = status === 404 ? undefined : readElection(body as RawObject);
    // The copy is good again once it has caught up with this answer.
    this.#isDoubtful = this.#watched.items.get(name)?.version !== this.#last?.version;
    return this.#last;
  }
}
