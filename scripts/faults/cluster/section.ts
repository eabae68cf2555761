import type { Profile } from "../bounds.ts";
import type { ControlResult } from "../control.ts";
import { renderControl, renderFigures, renderHows, type RowReport } from "../report.ts";

/** The part of docs/faults.md on Kubernetes. */
export function renderSection(input: {
  readonly reports: readonly RowReport[];
  readonly control: readonly ControlResult[];
  readonly profile: Profile;
  readonly nodes: number;
  readonly pods: number;
  readonly bots: number;
  readonly everyMs: number;
  readonly came: number;
  readonly lost: number;
  readonly cores: number;
  readonly minutes: number;
}): string {
  const { reports, control, profile, nodes, pods, bots, everyMs, came, lost, cores, minutes } = input;
  const times =
    profile === "ci" ? " The timings of ci are twice those of the protocol, and so are the bounds and the faults' own times." : "";
  return `# In Kubernetes

Made by \`npm run faults:cluster -- --timings ${profile}\`; do not edit. The same beacons, analysis and rules as above, with the second
channel: L is 10 s. A cluster of real parts on one machine (\`scripts/cluster\`), ${nodes} nodes, the chart with ${pods} pods, each with
a Docker Engine; ${bots} bots, a datagram each ${everyMs} ms. ${cores} cores, ${minutes} minutes; ${came} datagrams came, ${lost} were lost.${times}

${renderFigures(reports)}

A pod whose container has ended is replaced before the next fault, for the kubelet would let the next end wait.

## The positive control in Kubernetes

Two workers whose fence stands still, and whose kubelet therefore probes nothing: the rig sees duplicates.

${renderControl(control)}

## How each fault is made in Kubernetes

${renderHows(reports)}
`;
}
