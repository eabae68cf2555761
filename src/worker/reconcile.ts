import type { Clock } from "../core/clock.ts";
import { type Container, type ContainerStep, planContainers } from "../core/containers.ts";
import type { BotId } from "../core/ids.ts";
import { FRESH } from "../core/restart.ts";
import { Bell } from "../process/bell.ts";
import { tolerate } from "../process/retry.ts";
import { type Bots, STRANGER } from "./bots.ts";
import type { DesiredBots, Want } from "./desired.ts";
import type { EngineHealth } from "./engine-health.ts";
import type { WorkerBus } from "./events.ts";
import type { Engine } from "./ports.ts";
import type { OwnedSegments } from "./segments.ts";

/** The Engine's list is the truth and is read this often, whatever events say. Source: docker.md rule 12. */
const LIST_EVERY_MS = 10_000;
/** Until all segments have been read once. */
const UNREAD_EVERY_MS = 1_000;

export type ReconcileOptions = {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly bus: WorkerBus;
  readonly bots: Bots;
  readonly desired: DesiredBots;
  readonly segments: Pick<OwnedSegments, "isComplete" | "isDraining">;
  readonly health: EngineHealth;
  readonly storeIsAway: () => boolean;
};

/** Compares what the Engine lists with what should run, and hands on the bots that differ. */
export class Reconcile {
  readonly #options: ReconcileOptions;
  readonly #due = new Bell();
  #hasAdopted = false;

  constructor(options: ReconcileOptions) {
    this.#options = options;
  }

  /** Whether what ran before this process did has been looked for: what is gained from then on comes with a new epoch. */
  get hasAdopted(): boolean {
    return this.#hasAdopted;
  }

  /** Asks for a look at the list now. */
  request(): void {
    this.#due.ring();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, bus, segments } = this.#options;
    while (!signal.aborted) {
      await tolerate(
        () => this.#round(),
        (error) => bus.emit("round:failed", { loop: "reconcile", error }),
      );
      await this.#due.wait(clock, segments.isComplete ? LIST_EVERY_MS : UNREAD_EVERY_MS, signal);
    }
  }

  /** Looks at the bots of segments that were just gained: those that run already are adopted, the others wait for their start. */
  async takeOver(gained: readonly BotId[]): Promise<void> {
    const { engine, bots } = this.#options;
    const mine = new Set(gained);
    const steps = [...this.#plan(this.#hasAdopted ? [] : await engine.list())].filter(([bot]) => mine.has(bot));
    const of = (kind: ContainerStep["kind"]): BotId[] => steps.flatMap(([bot, step]) => (step.kind === kind ? [bot] : []));
    bots.takeOver({ running: of("adopt"), starting: of("start") });
    this.#hasAdopted = true;
  }

  async #round(): Promise<void> {
    const { engine, clock, bus, bots, desired, segments, health, storeIsAway } = this.#options;
    const began = clock.mono();
    const containers = await engine.list();
    health.seen();
    // Without a complete view of what we own, a container that nobody seems to want may be one we have not read yet.
    if (!segments.isComplete) return;
    const steps = [...this.#plan(containers)].filter(([, step]) => step.kind !== "wait").map(([bot]) => bot);
    bots.request(steps);
    // Who leaves wants nothing any more, and with the store away nobody knows what others want.
    if (!segments.isDraining && !storeIsAway()) await engine.collectImages(imagesOf(desired.all()));
    bus.emit("reconcile:done", { tookMs: clock.mono() - began, steps: steps.length });
  }

  /** What the whole Engine needs, as far as a list tells. */
  #plan(containers: readonly Container[]): ReadonlyMap<BotId, ContainerStep> {
    const { desired, bots, clock } = this.#options;
    const actual = new Map(containers.map((container) => [container.bot, container]));
    const wanted = new Map([...desired.all()].map((want) => [want.bot, want.desired]));
    return planContainers({ desired: wanted, actual, memory: bots.memory }, STRANGER, FRESH, clock.mono());
  }
}

function imagesOf(wants: Iterable<Want>): ReadonlySet<string> {
  const images = new Set<string>();
  for (const { desired } of wants) if (desired.want === "run") images.add(desired.spec.image);
  return images;
}
