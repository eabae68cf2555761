import { RUNTIME_IMAGE, SCRIPTED_IMAGE } from "./images.ts";

/** Values of the chart for a machine that others use, too: the protocol at half its pace, a short cooldown, and patience for pods
 *  that come slowly, so that nothing is shared and moved again meanwhile. */
export function chartValues() {
  const [repository, tag] = RUNTIME_IMAGE.split(":");
  return {
    image: { repository, tag },
    runtime: { timings: "ci" },
    bots: { backlogPatienceSeconds: 120 },
    scaling: { cooldownSeconds: 8, checkIntervalSeconds: 5 },
  };
}

/** The same with Engines that are all words, which ask for next to nothing: more pods than a small machine runs Engines in. */
export function scriptedValues() {
  const [repository, tag] = SCRIPTED_IMAGE.split(":");
  const requests = { cpu: "10m", memory: "32Mi", "ephemeral-storage": "1Mi" };
  return { ...chartValues(), dind: { image: { repository, tag }, resources: { requests } } };
}
