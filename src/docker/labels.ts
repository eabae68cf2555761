import type { Container } from "../core/containers.ts";
import type { BotId, Epoch, SegmentId, SessionId, SpecHash } from "../core/ids.ts";
import { PROTO } from "../core/records.ts";
import type { StartOrder } from "../worker/ports.ts";

/** The one place that knows our label names: what writes them and what looks for them cannot drift apart. */
const MANAGED = "botrunner.managed";
const BOT = "botrunner.bot";
const SEGMENT = "botrunner.seg";
const EPOCH = "botrunner.epoch";
const SESSION = "botrunner.sid";
const SPEC = "botrunner.spec";
const PROTOCOL = "botrunner.proto";
const GRACE = "botrunner.grace";
const WHY = "botrunner.why";

export type Labels = Readonly<Record<string, string>>;

/** What marks networks and containers as ours. */
export const MANAGED_LABELS: Labels = { [MANAGED]: "1" };
/** The Engine's filter for all that is ours. By label only: a filter by name matches parts of names. */
export const MANAGED_FILTER: readonly string[] = [`${MANAGED}=1`];

/** What the labels of one of our containers say. */
export type Labelled = Omit<Container, "id" | "state" | "exit">;

export function writeLabels({ bot, segment, epoch, sid, hash, spec, why }: StartOrder): Labels {
  return {
    ...MANAGED_LABELS,
    [BOT]: bot,
    [SEGMENT]: String(segment),
    [EPOCH]: String(epoch),
    [SESSION]: sid,
    [SPEC]: hash,
    [PROTOCOL]: String(PROTO),
    [GRACE]: String(spec.stopGraceSeconds),
    [WHY]: why,
  };
}

export function isManaged(labels: Labels | null | undefined): boolean {
  return labels?.[MANAGED] === "1";
}

/** Reads the labels back. `undefined`: not ours, or not as we write them, so that nothing may be concluded from them. */
export function parseLabels(labels: Labels | null | undefined): Labelled | undefined {
  if (!labels || !isManaged(labels)) return undefined;
  const [bot, sid, spec, startedWhy] = [labels[BOT], labels[SESSION], labels[SPEC], labels[WHY]];
  const [segment, epoch, graceSeconds, proto] = [
    whole(labels[SEGMENT]),
    whole(labels[EPOCH]),
    whole(labels[GRACE]),
    whole(labels[PROTOCOL]),
  ];
  if (!bot || !sid || !spec || startedWhy === undefined) return undefined;
  if (segment === undefined || epoch === undefined || graceSeconds === undefined || proto === undefined) return undefined;
  return {
    bot: bot as BotId,
    segment: segment as SegmentId,
    epoch: epoch as Epoch,
    sid: sid as SessionId,
    spec: spec as SpecHash,
    graceSeconds,
    startedWhy,
  };
}

/** The bot an event is about. Other labels do not matter for a hint. */
export function botOfLabels(labels: Labels | null | undefined): BotId | undefined {
  return labels?.[BOT] as BotId | undefined;
}

function whole(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
