import { RUNTIME_IMAGE } from "./images.ts";

/** Values of the chart for a machine that others use, too: the protocol at half its pace, a short cooldown. */
export function chartValues() {
  const [repository, tag] = RUNTIME_IMAGE.split(":");
  return {
    image: { repository, tag },
    runtime: { timings: "ci" },
    scaling: { cooldownSeconds: 8, checkIntervalSeconds: 5 },
  };
}
