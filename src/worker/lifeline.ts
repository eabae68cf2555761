import type { SessionId } from "../core/ids.ts";
import type { Right } from "../core/session.ts";

/** A session that is being kept alive, and what this process may do by it. */
export interface Lifeline {
  readonly sid: SessionId;
  readonly inc: number;
  /** How far the right to run bots reaches at this moment. */
  right(): Right;
  /** Whether an operator has asked this worker to drain. */
  readonly isDrainAsked: boolean;
  /** Whether the Docker Engine is out of reach: said with each renewal, so that nothing new comes here meanwhile. */
  set isDegraded(is: boolean);
  /** The database's life was read: in another one this session does not exist. */
  sawLife(incarnation: string | undefined): void;
  /** Has everything behind the fence killed, the Docker Engine first of all, and the Engine started anew. The session goes on.
   *  Absent where there is no fence. */
  restartEngine?(): void;
  /** Says that this worker is on its way out, or has left. Every later renewal says the first again, should this be lost.
   *  After the second nothing is left to lose: that the session has ended is no fault then. */
  stepDown(to: "draining" | "gone"): Promise<void>;
  /** Keeps the session alive until the signal aborts; `isAlive` says whether this process's own loops still come round:
   *  a lease that is held for a dead process keeps its bots from everybody.
   *  @throws {SessionLostError} when this process owns nothing any more. */
  run(signal: AbortSignal, isAlive: () => boolean): Promise<void>;
}
