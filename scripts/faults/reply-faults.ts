import type { Act } from "./fault-row.ts";
import { drain } from "./worker-faults.ts";

const LIMIT_MS = 30_000;

/** Row 20, O1. */
export const loseRenewal: Act = async (scene, seat) => {
  const bots = await scene.botsOf(seat);
  const { _id: sid, hbSeq } = await scene.session(seat);
  seat.link.loseReply("O1");
  await scene.see("a lost renewal", LIMIT_MS, async () => seat.link.isLost || undefined);
  await scene.see("the next renewal", LIMIT_MS, async () => (await scene.session(seat)).hbSeq > hbSeq + 2 || undefined);
  const faults = await scene.otherSession(seat, sid);
  return { bots, closedAt: scene.fleet.now(), faults, boundMs: 0 };
};

/** Row 20, O2: the leader assigns what a draining worker has released, and does not hear that it has. */
export const loseAssign: Act = async (scene, seat) => {
  const leader = await scene.see("a leader", LIMIT_MS, () => scene.fleet.leader());
  leader.link.loseReply("O2");
  const played = await drain(scene, seat);
  const { isLost } = leader.link;
  leader.link.disarm();
  return { ...played, faults: isLost ? played.faults : [...played.faults, "no assignment was made whose reply could be lost"] };
};

/** Row 20, O5. */
export const loseRelease: Act = async (scene, seat) => {
  seat.link.loseReply("O5");
  const played = await drain(scene, seat);
  const { isLost } = seat.link;
  seat.link.disarm();
  return { ...played, faults: isLost ? played.faults : [...played.faults, "no release was made whose reply could be lost"] };
};
