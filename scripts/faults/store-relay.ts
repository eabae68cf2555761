// store-relay.ts PORT HOST: a way to the MongoDB that listens there, on another port of the same address, which can lose replies. A process
// of its own: what the rig is busy with must not make a fleet's calls late.
import { answerQuestions } from "./companion.ts";
import { type LosableWrite, StoreLink } from "./store-link.ts";

export type StoreRelayAnswers = {
  /** The port it listens on. */
  readonly port: number;
  /** Given a write, or a write and the document's `_id` after a space: loses the reply to the next one. */
  readonly lose: true;
  /** Whether every reply that was to be lost has been. */
  readonly isLost: boolean;
  /** What was to be lost and was not yet is delivered after all. */
  readonly disarm: true;
};

const [port = "", host] = process.argv.slice(2);
const link = await StoreLink.open(Number(port), host);

answerQuestions<StoreRelayAnswers>({
  port: () => link.port,
  lose: (given = "") => {
    const [write, id] = given.split(" ");
    link.loseReply(write as LosableWrite, id);
    return true;
  },
  isLost: () => link.isLost,
  disarm: () => {
    link.disarm();
    return true;
  },
});
