import type { MonoMs } from "./clock.ts";

/** An image goes after nobody wanted it for so long, in ms: a bot that is disabled and enabled again, or moves away and
 *  back, finds it still here. Source: docker.md, Images. */
export const IMAGE_GRACE_MS = 180_000;

/** An image that this runtime pulled: under which name, and what that name meant then. */
export type PulledImage = { readonly image: string; readonly id: string };

export type GarbagePlan = {
  /** Since when nobody wants an image; by the key of `keyOfImage`. */
  readonly idleSince: ReadonlyMap<string, MonoMs>;
  readonly due: readonly PulledImage[];
};

export const keyOfImage = ({ image, id }: PulledImage): string => `${image} ${id}`;

/** Decides which of our images have outstayed their grace. `pulled` is in the order of the pulls: a name means what its last pull
 *  brought, so what it meant before is wanted by nobody, whoever wants the name. */
export function planGarbage(
  pulled: readonly PulledImage[],
  wanted: ReadonlySet<string>,
  idleSince: ReadonlyMap<string, MonoMs>,
  now: MonoMs,
): GarbagePlan {
  const current = new Map(pulled.map(({ image, id }) => [image, id]));
  const idle = pulled.filter(({ image, id }) => !(wanted.has(image) && current.get(image) === id));
  const since = new Map(idle.map((one) => [keyOfImage(one), idleSince.get(keyOfImage(one)) ?? now]));
  return { idleSince: since, due: idle.filter((one) => now - (since.get(keyOfImage(one)) ?? now) >= IMAGE_GRACE_MS) };
}
