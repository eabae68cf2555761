import type { Collection, Db } from "mongodb";

import type { StatusRecord } from "../../src/core/records.ts";
import { BOT_IMAGE } from "./bot-image.ts";
import { connectDocker } from "./find-docker.ts";

type Bot = { _id: string; enabled: boolean; image: string; command: string[]; env: Record<string, string>; [more: string]: unknown };

const script: Record<string, string> = {
  steady: "while true; do date; sleep 1; done",
  deaf: "trap '' TERM; while true; do sleep 1; done",
  crasher: "sleep 0.3; exit 4",
  oneshot: "sleep 0.5; exit 0",
  astray: "while true; do date; sleep 1; done",
  pulled: "while true; do date; sleep 1; done",
};

/** An image of a registry that is not there: each try to pull it fails. */
const NOWHERE = "127.0.0.1:1/nobody/nothing:1";

const MIN_BOTS = 20;
const MAX_BOTS = 40;

/** What the user wants: the truth that the end of the chaos is held against. */
export class ChaosFleet {
  readonly #bots = new Map<string, Bot>();
  readonly #random: () => number;
  readonly #imageOf: (tag: number) => string;
  #next = 0;
  #nextTag = 1;

  /** @param imageOf an image that a registry has, another one for each tag */
  constructor(random: () => number, imageOf: (tag: number) => string) {
    this.#random = random;
    this.#imageOf = imageOf;
  }

  async add(db: Db): Promise<void> {
    await this.#write(db, this.#make(this.#kind()));
  }

  /** Writes one random change as a user would: most often a new version, at times a bot comes, goes, sleeps or wakes. */
  async change(db: Db): Promise<void> {
    const bots: Collection<Bot> = db.collection<Bot>("bots");
    const ids = [...this.#bots.keys()];
    const pick = ids[Math.floor(this.#random() * ids.length)];
    const dice = this.#random();
    if (pick === undefined || ids.length < MIN_BOTS || (dice < 0.2 && ids.length < MAX_BOTS)) return this.add(db);
    const old = this.#bots.get(pick) as Bot;
    if (dice < 0.35) {
      await bots.deleteOne({ _id: pick });
      this.#bots.delete(pick);
      return;
    }
    await this.#write(db, dice < 0.6 ? { ...old, enabled: !old.enabled } : { ...old, ...this.#version(old) });
  }

  /** Many changes at once, some of them to the same bot. */
  async storm(db: Db, changes: number): Promise<void> {
    for (let n = 0; n < changes; n++) await this.change(db);
  }

  /** Wants images that the engine has not yet: for two bots of the registry, and for a new one while there is room. */
  async pull(db: Db): Promise<void> {
    const some = [...this.#bots.values()].filter(isPulled).slice(0, 2);
    const more = some.length === 0 || this.size < MAX_BOTS ? [this.#make("pulled")] : [];
    for (const bot of [...some, ...more]) await this.#write(db, { ...bot, enabled: true, image: this.#newImage() });
  }

  /** What a user does after a registry refused his password: whatever stays until the document changes, changes. */
  async amend(db: Db): Promise<void> {
    for (const bot of [...this.#bots.values()].filter(isPulled)) await this.#write(db, { ...bot, ...this.#version(bot) });
  }

  async #write(db: Db, bot: Bot): Promise<void> {
    await db.collection<Bot>("bots").replaceOne({ _id: bot._id }, bot, { upsert: true });
    this.#bots.set(bot._id, bot);
  }

  #newImage(): string {
    return this.#imageOf(this.#nextTag++);
  }

  #version(old: Bot): Partial<Bot> {
    if (old._id.startsWith("astray")) return { image: old.image === NOWHERE ? BOT_IMAGE : NOWHERE };
    return { env: { VERSION: String(this.#random()) } };
  }

  #kind(): string {
    const kinds = ["steady", "steady", "steady", "steady", "deaf", "crasher", "oneshot", "astray", "pulled"];
    return kinds[Math.floor(this.#random() * kinds.length)] ?? "steady";
  }

  #make(kind: string): Bot {
    const _id = `${kind}-${this.#next++}`;
    const extra = kind === "oneshot" ? { restart: "on-failure" } : {};
    return {
      _id,
      enabled: true,
      image: kind === "astray" ? NOWHERE : kind === "pulled" ? this.#newImage() : BOT_IMAGE,
      command: ["sh", "-c", script[kind] ?? ""],
      env: {},
      stopGraceSeconds: 1,
      resources: { memory: "32Mi" },
      ...extra,
    };
  }

  get size(): number {
    return this.#bots.size;
  }

  /** One line for each difference between what is wanted and what is; empty when all is well. */
  async differences(db: Db, dockerHost: string): Promise<string[]> {
    const [statuses, containers] = await Promise.all([
      db.collection<StatusRecord & { _id: string }>("runtime.status").find().toArray(),
      connectDocker(dockerHost).listContainers({ all: true, filters: { label: ["botrunner.managed=1"] } }),
    ]);
    const told = new Map<string, string>(statuses.map((s) => [s._id, s.state]));
    const lines: string[] = [];
    for (const [id, bot] of this.#bots) {
      const mine = containers.filter((c) => c.Labels["botrunner.bot"] === id);
      const running = mine.filter((c) => c.State === "running").length;
      const wants = wantedOf(bot);
      if (!wants.states.includes(told.get(id) ?? "none"))
        lines.push(`${id}: status ${told.get(id) ?? "none"}, expected ${wants.states.join(" or ")}`);
      if (!wants.running.includes(running)) lines.push(`${id}: ${running} running containers, expected ${wants.running.join(" or ")}`);
    }
    for (const { Labels, State } of containers)
      if (!this.#bots.has(Labels["botrunner.bot"] ?? ""))
        lines.push(`${Labels["botrunner.bot"]}: container ${State}, expected none: it was deleted`);
    for (const id of told.keys()) if (!this.#bots.has(id)) lines.push(`${id}: status ${told.get(id)}, expected none: it was deleted`);
    return lines;
  }
}

const isPulled = ({ _id }: Bot): boolean => _id.startsWith("pulled");

function wantedOf({ _id, enabled, image }: Bot): { states: string[]; running: number[] } {
  if (_id.startsWith("oneshot")) return { states: enabled ? ["completed"] : ["stopped", "completed", "none"], running: [0] };
  if (!enabled) return { states: ["stopped", "none"], running: [0] };
  if (image === NOWHERE) return { states: ["backoff", "starting"], running: [0] };
  if (_id.startsWith("crasher")) return { states: ["backoff", "running", "starting"], running: [0, 1] };
  return { states: ["running"], running: [1] };
}
