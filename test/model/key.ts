import type { SessionId } from "../../src/core/ids.ts";
import type { Watches } from "../../src/core/observation.ts";
import type { Operation } from "../../src/core/operations.ts";
import type { Timings } from "../../src/core/timings.ts";
import { type Answer, type Late, type Pod, podUid, SEGMENT, type State } from "./state.ts";

/** What tells two states apart. Left out is what no step can see: the time itself, where only ages count; how large a
 *  counter is that is only ever compared with the one in the store; which of the two pods is called the first. */
export function keyOf(state: State, timings: Timings): string {
  const writer = new Writer(state, timings);
  const [a, b] = [writer.pod(0), writer.pod(1)];
  if (a < b) return a + b + writer.rest([0, 1]);
  if (b < a) return b + a + writer.rest([1, 0]);
  const [one, two] = [writer.rest([0, 1]), writer.rest([1, 0])];
  return a + b + (one < two ? one : two);
}

type Order = readonly [0 | 1, 0 | 1];
const STATES = ["free", "assigned", "revoking", "up", "draining", "gone", "dead", "created", "exited", "running", "held", "leaving"];
const KINDS = ["create", "start", "stop", "remove", "O0", "O1", "O1'", "poll", "O2", "O3", "O3'", "O4", "O5", "O6", "O7", "gone"];
/** Characters below this stand for small numbers, -1 included. */
const chr = (n: number): string => CHARACTERS[n + 1] ?? String.fromCharCode(33 + n + 1);
const CHARACTERS = Array.from({ length: 90 }, (_, i) => String.fromCharCode(33 + i));
const bit = (b: boolean): string => (b ? "1" : "0");

class Writer {
  readonly #state: State;
  readonly #most: number;
  readonly #endMs: number;
  readonly #killMs: number;

  constructor(state: State, { fenceMs, killMs, endMs }: Timings) {
    this.#state = state;
    this.#most = fenceMs + 1;
    this.#killMs = killMs;
    this.#endMs = endMs;
  }

  #age(at: number | undefined, most = this.#most): string {
    return at === undefined ? "-" : chr(Math.min(this.#state.now - at, most));
  }

  /** A session by the number of its life in its own pod. */
  #life(sid: unknown): string {
    if (typeof sid !== "string") return "-";
    return sid.length > POD_LENGTH ? sid.slice(POD_LENGTH + 1) : "1";
  }

  #at(sid: unknown, order: Order): string {
    if (typeof sid !== "string") return "-";
    return (sid.startsWith(podUid(order[0])) ? "a" : "b") + this.#life(sid);
  }

  #record(sid: unknown): State["workers"][number] | undefined {
    return this.#state.workers.find((w) => w._id === sid);
  }

  #beats(sid: unknown, hbSeq: number | undefined): string {
    const now = this.#record(sid)?.hbSeq;
    return hbSeq === undefined || now === undefined ? "-" : hbSeq === now ? "=" : hbSeq < now ? "<" : ">";
  }

  #version(sid: SessionId | undefined, version: string | undefined): string {
    const { leases } = this.#state;
    if (sid === undefined || leases === "none" || version === undefined) return "-";
    return leases.get(sid)?.version === version ? "=" : "<";
  }

  pod(n: 0 | 1): string {
    const { workers, leases, watches, now, leaders } = this.#state;
    const pod: Pod = this.#state.pods[n];
    const uid = podUid(n);
    const lives = workers.filter((w) => w._id.startsWith(uid));
    const last = lives.at(-1);
    const lease = leases === "none" || last === undefined ? undefined : leases.get(last._id);
    const { container, process, fence } = pod;
    let key = `${bit(pod.isLost)}${chr(lives.length)}${chr(STATES.indexOf(last?.state ?? ""))}${chr(last?.inc ?? 0)}`;
    key += this.#age(last === undefined ? undefined : watches.get(last._id)?.since, this.#endMs);
    if (leases !== "none") {
      key += lease === undefined ? "--" : `${bit(lease.lease.revoked)}${chr(lease.lease.inc)}`;
      for (const { blind } of leaders) key += this.#blind(blind, last?._id);
    }
    key += `${bit(pod.isDockerUp)}${chr(pod.released ?? 0)}${bit(pod.lateStart !== undefined)}`;
    // Once it has killed, how long ago it lapsed is of no interest.
    key += fence === undefined ? "-" : chr(Math.max(fence.deadline - now, pod.isDockerUp ? -this.#killMs : 0) + this.#killMs);
    key += this.#container(pod);
    if (process === undefined) return `${key}|`;
    const { session, call, answer } = process;
    key += `${this.#life(process.opening)}${bit(process.isSilent)}${bit(process.triedAt === now || process.isSilent || process.session?.lost !== undefined)}${bit(process.isDraining)}${bit(process.isComplete)}${bit(process.isDoubtful)}`;
    const tenure = process.tenures.get(SEGMENT);
    key += tenure === undefined ? "-" : `${chr(STATES.indexOf(tenure.state))}${chr(tenure.epoch)}`;
    if (call !== undefined)
      key += `c${chr(KINDS.indexOf(call.kind))}${chr(call.epoch)}${"id" in call ? bit(call.id === container?.id) : this.#life(call.sid)}`;
    if (answer !== undefined) key += this.#answer(answer, session?.sid);
    if (session === undefined) return `${key}|`;
    const { sid, inc, store, lost } = session;
    key += `s${this.#life(sid)}${chr(inc)}${lost === undefined ? "" : lost[0]}${this.#age(store.provenAt)}`;
    if (leases !== "none")
      key += `${this.#age(session.lease.provenAt)}${bit(session.lease.isBarred === true)}${bit(process.knowsLease)}${this.#version(sid, process.leaseVersion)}`;
    return `${key}|`;
  }

  /** A container that does not run and that nobody starts is only in the way. */
  #container({ container, process, lateStart }: Pod): string {
    if (container === undefined) return "-";
    const isAsked = lateStart !== undefined || process?.call?.kind === "start";
    if (container.state !== "running" && !isAsked) return "i";
    return `${container.state === "running" ? "r" : "s"}${this.#life(container.sid)}${chr(container.epoch)}`;
  }

  #blind(blind: Watches | undefined, sid: SessionId | undefined): string {
    const watch = sid === undefined ? undefined : blind?.get(sid);
    if (watch === undefined) return blind === undefined ? "" : "b";
    const lease =
      typeof watch.lease === "string" ? watch.lease[0] : `${this.#version(sid, watch.lease.version)}${bit(watch.lease.lease.revoked)}`;
    return `${this.#beats(sid, watch.record.hbSeq)}${lease}${this.#age(watch.since, this.#endMs)}`;
  }

  #answer(answer: Answer, sid: SessionId | undefined): string {
    const key = `a${chr(KINDS.indexOf(answer.kind))}`;
    if (answer.kind === "O1") return `${key}${answer.outcome[0]}${this.#age(answer.sentAt)}`;
    if (answer.kind === "O0") return `${key}${this.#life(answer.sid)}${chr(answer.inc)}${this.#age(answer.sentAt)}`;
    if (answer.kind === "O1'") return `${key}${this.#version(sid, answer.version)}${this.#age(answer.sentAt)}`;
    const [record] = answer.records;
    return `${key}${chr(STATES.indexOf(record?.state ?? ""))}${chr(record?.epoch ?? 0)}`;
  }

  rest(order: Order): string {
    const { segment, status, left, term, givenUp, leaders, late } = this.#state;
    const terms = leaders.map((l) => chr(l.term ?? 0) + (l.blind === undefined ? "" : "b"));
    let key = chr(STATES.indexOf(segment.state)) + this.#at(segment.owner, order) + this.#at(segment.target, order);
    key += chr(segment.epoch) + chr(segment.term) + chr(term) + chr(givenUp) + terms.join("");
    key += chr(left.deaths) + chr(left.faults) + chr(left.moves) + chr(left.elections);
    key += status === undefined ? "-" : chr(Number(status["epoch"])) + this.#at(status["sid"], order);
    if (late.length === 0) return key;
    return (
      key +
      late
        .map((one) => this.#late(one, order))
        .toSorted()
        .join("")
    );
  }

  #late(late: Late, order: Order): string {
    if ("lease" in late)
      return `l${late.lease.op}${this.#at(late.lease.sid, order)}${late.lease.expect === undefined ? "n" : ""}${this.#version(late.lease.sid, late.lease.expect)}${chr(late.lease.put.inc)}${bit(late.lease.put.revoked)}`;
    return `o${this.#operation(late.operation, order)}${chr(late.meant ?? 0)}`;
  }

  #operation({ op, id, where, set }: Operation, order: Order): string {
    let key = chr(KINDS.indexOf(op)) + this.#at(id, order);
    for (const alternative of where)
      for (const name in alternative) {
        const test = alternative[name];
        if (test === undefined) continue;
        if (name === "hbSeq") key += this.#beats(id, "is" in test ? Number(test.is) : undefined) === "=" ? "=" : "";
        else if ("is" in test) key += typeof test.is === "number" ? chr(test.is) : this.#at(test.is, order);
        else if ("atMost" in test) key += chr(test.atMost);
      }
    for (const name of ["owner", "target", "epoch", "sid", "state", "term"]) {
      const value = set?.[name];
      if (typeof value === "number") key += chr(value);
      else if (typeof value === "string") key += STATES.includes(value) ? chr(STATES.indexOf(value)) : this.#at(value, order);
    }
    return key;
  }
}

const POD_LENGTH = podUid(0).length;
