import type { ContainerInfo, ContainerInspectInfo } from "dockerode";
import type { Exit } from "../core/bot.ts";
import type { Actual, Container } from "../core/containers.ts";
import type { BotId, ContainerId } from "../core/ids.ts";
import { KillEvidence } from "./kill-evidence.ts";
import { parseLabels } from "./labels.ts";

/** One row of the Engine's list; `undefined`: not ours. */
export function readListed({ Id, Labels, State }: ContainerInfo): Container | undefined {
  const labelled = parseLabels(Labels);
  return labelled && { id: Id as ContainerId, ...labelled, state: stateOf(State) };
}

/** What holds the bot's name; without `evidence` nothing was seen of kills. Ours is only what says so and is about this very bot. */
export function readInspected(bot: BotId, { Id, Config, Image, State }: ContainerInspectInfo, evidence = new KillEvidence()): Actual {
  const labelled = parseLabels(Config.Labels);
  if (labelled?.bot !== bot) return { kind: "foreign" };
  const state = stateOf(State.Status);
  const startedAt = dateOf(State.StartedAt);
  return {
    kind: "ours",
    container: {
      id: Id as ContainerId,
      ...labelled,
      state,
      imageId: Image,
      ...(startedAt && { startedAt }),
      ...(state === "exited" && { exit: exitOf(Id as ContainerId, State, evidence) }),
    },
  };
}

/** A paused container holds its memory and its sockets and goes on when it is told to: it counts as running, and so
 *  does a state that a later Engine may invent. */
function stateOf(status: string): Container["state"] {
  switch (status) {
    case "created":
    case "removing":
      return status;
    case "exited":
    case "dead":
      return "exited";
    default:
      return "running";
  }
}

function exitOf(id: ContainerId, state: ContainerInspectInfo["State"], evidence: KillEvidence): Exit {
  return {
    code: state.ExitCode,
    oom: evidence.judge(id, state.ExitCode, state.OOMKilled),
    startedAt: dateOf(state.StartedAt),
    finishedAt: dateOf(state.FinishedAt),
    error: state.Error,
    ...(evidence.diedWithEngine(id, state.ExitCode) && { withEngine: true as const }),
  };
}

/** The Engine writes the year 1 where there is no date. */
function dateOf(text: string): Date | undefined {
  const date = new Date(text);
  return date.getTime() > 0 ? date : undefined;
}
