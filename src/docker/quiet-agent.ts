import { Agent } from "node:http";
import { inspect } from "node:util";

/** An agent that prints as one word. docker-modem describes every request's options in full depth for a debug log that nobody
 *  reads: with the agent in them that is every open socket and its buffers, tens of milliseconds a call. */
export class QuietAgent extends Agent {
  [inspect.custom](): string {
    return "QuietAgent";
  }
}
