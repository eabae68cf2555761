import type { Pod } from "../../lib/cluster/pods.ts";
import type { Batch } from "../plan.ts";
import type { Candidates } from "../rounds.ts";
import type { ClusterRow } from "./act.ts";

type Wanted = Pick<ClusterRow, "victim" | "restartsNone">;

/** Victims that do not disturb each other: a node's row gets all of a node on which nobody leads. Undefined while there are not
 *  enough, or nobody would be left to take over. */
export function chooseOnNodes(rows: readonly Wanted[], { owners, leader }: Candidates<Pod>): Pod[] | undefined {
  let left = [...owners];
  const take = (isMeant: (pod: Pod) => boolean): Pod | undefined => {
    const found = left.find(isMeant);
    left = left.filter((pod) => pod !== found);
    return found;
  };
  const chosen = new Map<number, Pod>();
  // Nodes first, for a pod is found on any.
  for (const [at, { victim }] of rows.entries()) {
    if (victim !== "node") continue;
    const pod = take(({ node }) => node !== leader.node);
    if (pod === undefined) return undefined;
    left = left.filter(({ node }) => node !== pod.node);
    chosen.set(at, pod);
  }
  for (const [at, { victim }] of rows.entries()) {
    if (victim === "node") continue;
    const pod = victim === "owner" ? take(() => true) : leader;
    if (pod === undefined) return undefined;
    chosen.set(at, pod);
  }
  if (left.length === 0 && rows.some(({ restartsNone }) => !restartsNone)) return undefined;
  return rows.map((_, at) => chosen.get(at) as Pod);
}

/** What is played at the same time: quiet rows with quiet rows, for a bot that moves may move to any worker. */
const FIRST = [["6", "7"], ["4", "8"], ["18"]];
/** One of these more, which the seed picks. */
const IN_TURN = [["2"], ["5"], ["16"], ["5b"], ["9"], ["1"], ["3"], ["12"], ["19"], ["20"], ["23"]];

/** What the gate plays within its time; `times` over. */
export function planShortCluster(rows: readonly ClusterRow[], seed: number, times = 1): Batch<ClusterRow>[] {
  const turn = IN_TURN[seed % IN_TURN.length] ?? [];
  const find = (number: string): ClusterRow[] => rows.filter((row) => row.number === number);
  const once = [...FIRST, turn].map((batch) => batch.flatMap(find)).filter((batch) => batch.length > 0);
  return Array<typeof once>(times).fill(once).flat();
}
