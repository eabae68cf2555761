import type { Exit, ImagePullPolicy } from "../../src/core/bot.ts";
import type { Clock } from "../../src/core/clock.ts";
import type { Actual, Container } from "../../src/core/containers.ts";
import { EngineRefusedError, EngineUnreachableError, ImageUnavailableError } from "../../src/core/errors.ts";
import { type BotId, type ContainerId, containerName } from "../../src/core/ids.ts";
import type { Engine, EngineIdentity, StartOrder } from "../../src/worker/ports.ts";

/** What a bot does once it is started. By default it runs until it is told to stop, and then obeys. */
export type Program = {
  readonly ignoresTerm?: boolean;
  /** Ends at once. */
  readonly exits?: { readonly code: number; readonly oom?: Exit["oom"] };
  readonly prints?: string;
};

export type FakeEngineOptions = {
  readonly clock: Clock;
  /** Images it has. @default the one of `aSpec` */
  readonly images?: Iterable<string>;
  readonly programOf?: (order: StartOrder) => Program;
};

type Method = Exclude<keyof Engine, "watch">;
type Slot = { order: StartOrder; id: ContainerId; state: Container["state"]; exit?: Exit; startedAt?: Date; log: string };
const NEVER = new AbortController().signal;

/** A Docker Engine in memory, behind the port. The contract suite runs over it and over the real one. */
export class FakeEngine implements Engine {
  /** Images that were pulled, in order. */
  readonly pulls: string[] = [];
  readonly images: Set<string>;
  /** The images that somebody wanted at the last collection; `undefined` before the first. */
  wanted: ReadonlySet<string> | undefined;
  /** What a registry would say of an image that is missing here. @default every image can be pulled */
  registry: (image: string) => "found" | "missing" | "away" = () => "found";
  readonly #clock: Clock;
  readonly #programOf: (order: StartOrder) => Program;
  readonly #slots = new Map<string, Slot>();
  readonly #foreign = new Set<string>();
  readonly #faults = new Map<Method, Error[]>();
  readonly #lost = new Map<Method, number>();
  readonly #pulling = new Map<string, Promise<void>>();
  readonly #watchers = new Set<(bot: BotId | undefined) => void>();
  #made = 0;
  #away = false;

  constructor({ clock, images = ["bot-runner/demo-bot:1"], programOf = () => ({}) }: FakeEngineOptions) {
    this.#clock = clock;
    this.images = new Set(images);
    this.#programOf = programOf;
  }

  // What a test does to it.

  /** The bot's program ends by itself. @throws {RangeError} when it does not run. */
  exit(bot: BotId, code: number, oom: Exit["oom"] = "no"): void {
    const slot = this.#slots.get(containerName(bot));
    if (slot?.state !== "running") throw new RangeError(`Cannot end bot "${bot}": it does not run`);
    this.#end(slot, code, oom);
  }

  /** Somebody removes the container behind our back. */
  vanish(bot: BotId): void {
    if (this.#slots.delete(containerName(bot))) this.#hint(bot);
  }

  /** Somebody else's container takes the bot's name. */
  occupy(bot: BotId): void {
    this.#foreign.add(containerName(bot));
  }

  /** The next call of `method` does nothing and throws `error`; several wait in line. */
  failNext(method: Method, error: Error = new EngineUnreachableError(`Cannot ${method}: the test says so`)): void {
    this.#faults.set(method, [...(this.#faults.get(method) ?? []), error]);
  }

  /** The next call of `method` lands, but its reply is lost. */
  loseReply(method: Method): void {
    this.#lost.set(method, (this.#lost.get(method) ?? 0) + 1);
  }

  /** No call gets through until `comeBack`; bots go on running. */
  goAway(): void {
    this.#away = true;
  }

  comeBack(): void {
    this.#away = false;
    this.#hint(undefined);
  }

  /** Bots that run now, in the order in which they were created. */
  running(): BotId[] {
    return [...this.#slots.values()].flatMap(({ order, state }) => (state === "running" ? [order.bot] : []));
  }

  // The port.

  identify(): Promise<EngineIdentity> {
    return this.#answer("identify", () => ({ id: "FAKE:ENGINE", version: "0.0.0", apiVersion: "1.47" }));
  }

  ping(): Promise<void> {
    return this.#answer("ping", () => {});
  }

  list(): Promise<readonly Container[]> {
    return this.#answer("list", () => [...this.#slots.values()].map((slot) => containerOf(slot, false)));
  }

  inspect(bot: BotId): Promise<Actual> {
    return this.#answer("inspect", () => {
      const slot = this.#slots.get(containerName(bot));
      if (slot !== undefined) return { kind: "ours", container: containerOf(slot, true) };
      return { kind: this.#foreign.has(containerName(bot)) ? "foreign" : "none" };
    });
  }

  ensureImage(image: string, policy: ImagePullPolicy, signal: AbortSignal): Promise<void> {
    return this.#answer("ensureImage", async () => {
      signal.throwIfAborted();
      const isHere = this.images.has(image);
      if (isHere && policy !== "always") return;
      if (policy === "never") throw new ImageUnavailableError(`Cannot use "${image}": not present and imagePullPolicy is never`, true);
      const pull = this.#pulling.get(image) ?? this.#pull(image);
      this.#pulling.set(image, pull);
      const left = Promise.withResolvers<never>();
      signal.addEventListener("abort", () => left.reject(signal.reason as Error), { once: true });
      await Promise.race([isHere ? pull.catch(() => {}) : pull, left.promise]);
    });
  }

  /** Knows no grace and removes nothing: it only keeps what it was told. */
  collectImages(wanted: ReadonlySet<string>): Promise<void> {
    return this.#answer("collectImages", () => void (this.wanted = wanted));
  }

  create(order: StartOrder): Promise<ContainerId> {
    return this.#answer("create", () => {
      const name = containerName(order.bot);
      if (this.#slots.has(name) || this.#foreign.has(name)) throw new EngineRefusedError(`Cannot create "${name}": the name is taken`, 409);
      if (!this.images.has(order.spec.image)) throw new EngineRefusedError(`Cannot create "${name}": no such image`, 404);
      const id = String(++this.#made).padStart(64, "0") as ContainerId;
      this.#slots.set(name, { order, id, state: "created", log: "" });
      return id;
    });
  }

  start(id: ContainerId): Promise<void> {
    return this.#answer("start", () => {
      const slot = this.#byId(id);
      if (slot === undefined) throw new EngineRefusedError(`Cannot start "${id}": no such container`, 404);
      if (slot.state === "running") return;
      slot.state = "running";
      slot.startedAt = this.#clock.wall();
      this.#hint(slot.order.bot);
      const { prints = "", exits } = this.#programOf(slot.order);
      slot.log += prints;
      if (exits !== undefined) this.#end(slot, exits.code, exits.oom ?? "no");
    });
  }

  stop(id: ContainerId, graceSeconds: number): Promise<void> {
    return this.#answer("stop", async () => {
      const slot = this.#byId(id);
      if (slot?.state !== "running") return;
      const obeys = graceSeconds > 0 && !this.#programOf(slot.order).ignoresTerm;
      if (!obeys) await this.#clock.sleep(graceSeconds * 1000, NEVER);
      if (slot.state === "running") this.#end(slot, obeys ? 143 : 137, "no");
    });
  }

  remove({ id, bot }: Container): Promise<void> {
    return this.#answer("remove", () => {
      if (this.#byId(id) !== undefined) this.vanish(bot);
    });
  }

  logTail(id: ContainerId, maxBytes: number): Promise<string> {
    return this.#answer("logTail", () => {
      const slot = this.#byId(id);
      if (slot === undefined) throw new EngineRefusedError(`Cannot read the log of "${id}": no such container`, 404);
      const bytes = Buffer.from(slot.log);
      if (bytes.length <= maxBytes) return slot.log;
      const tail = bytes.subarray(bytes.length - maxBytes - 1);
      return tail.subarray(tail.indexOf(0x0a) + 1).toString();
    });
  }

  async watch(onHint: (bot: BotId | undefined) => void, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    this.#watchers.add(onHint);
    onHint(undefined);
    const { promise, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    this.#watchers.delete(onHint);
  }

  async #answer<T>(method: Method, act: () => T | Promise<T>): Promise<T> {
    await Promise.resolve();
    if (this.#away) throw new EngineUnreachableError(`Cannot ${method}: the Engine is away`);
    const fault = this.#faults.get(method)?.shift();
    if (fault !== undefined) throw fault;
    const reply = await act();
    const lost = this.#lost.get(method) ?? 0;
    if (lost === 0) return reply;
    this.#lost.set(method, lost - 1);
    throw new EngineUnreachableError(`Cannot ${method}: the reply was lost`);
  }

  async #pull(image: string): Promise<void> {
    this.pulls.push(image);
    await this.#clock.sleep(1, NEVER);
    this.#pulling.delete(image);
    const said = this.registry(image);
    if (said !== "found") throw new ImageUnavailableError(`Cannot pull "${image}": the registry is ${said}`, said === "missing");
    this.images.add(image);
  }

  #end(slot: Slot, code: number, oom: Exit["oom"]): void {
    slot.state = "exited";
    slot.exit = { code, oom, startedAt: slot.startedAt, finishedAt: this.#clock.wall(), error: "" };
    this.#hint(slot.order.bot);
  }

  #hint(bot: BotId | undefined): void {
    for (const onHint of this.#watchers) onHint(bot);
  }

  #byId(id: ContainerId): Slot | undefined {
    return [...this.#slots.values()].find((slot) => slot.id === id);
  }
}

function containerOf({ order, id, state, exit }: Slot, inspected: boolean): Container {
  const { bot, segment, epoch, sid, hash: spec, why: startedWhy } = order;
  const labels = { bot, segment, epoch, sid, spec, graceSeconds: order.spec.stopGraceSeconds, startedWhy };
  return { id, ...labels, state, ...(inspected && { imageId: `sha256:${order.spec.image}` }), ...(inspected && exit && { exit }) };
}
