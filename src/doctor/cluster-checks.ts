import { readScalingSettings, type ScalingSettings } from "../core/scaling-settings.ts";
import { sideBySide } from "../process/side-by-side.ts";
import { type Check, fail, ok, type Said, warn } from "./finding.ts";
import type { ClusterProbe, Right } from "./ports.ts";

/** Questions to the API server at a time: each is a connection of its own. */
const WIDTH = 6;

type Place = {
  readonly namespace: string;
  readonly deployment: string;
  readonly configMap: string | undefined;
  /** The environment's bounds, which the ConfigMap wins over. */
  readonly base: ScalingSettings;
};

export function clusterChecks(cluster: ClusterProbe, place: Place): Check[] {
  const { namespace, deployment, configMap, base } = place;
  const role = `give the service account the chart's Role in namespace "${namespace}"`;
  // A fault of the ConfigMap is for its own check to tell.
  const modeOf = async (): Promise<string> => (await cluster.scalingData().catch(() => undefined))?.["SCALER"] ?? base.mode;
  return [
    {
      name: "kubernetes",
      mend: "the API server must be reachable from here (a NetworkPolicy?), with the service account's token mounted",
      look: async () => judgeDeployment(await cluster.deployment(), deployment),
    },
    {
      name: "kubernetes-scaling",
      after: "kubernetes",
      mend: role,
      look: async () => judgeScaling(configMap, configMap === undefined ? undefined : await cluster.scalingData(), base),
    },
    {
      name: "kubernetes-rights",
      after: "kubernetes",
      mend: `let it ask for its rights: the ClusterRole system:basic-user, or ${role}`,
      look: async () => {
        const mode = await modeOf();
        const asked = [...rightsFor(place), ...scalingRights(deployment)];
        const answers = await sideBySide(asked, WIDTH, async (right) => ({ right, may: await cluster.may(right) }));
        const may = answers.filter((one) => one.may).map(({ right }) => right);
        return judgeRights({ mode, place, may }, role);
      },
    },
  ];
}

/** What the pods do in their namespace whoever scales. Source: design.md section 8, the chart's Role. */
export function rightsFor({ deployment, configMap }: Pick<Place, "deployment" | "configMap">): Right[] {
  const all = (group: string, resource: string, verbs: string, name?: string): Right[] =>
    verbs.split(" ").map((verb) => ({ verb, group, resource, ...(name !== undefined && { name }) }));
  return [
    ...all("apps", "deployments", "get list watch", deployment),
    ...all("coordination.k8s.io", "leases", "create get list watch update patch delete"),
    ...all("", "pods", "get list watch patch delete"),
    ...all("", "events", "create patch"),
    ...(configMap === undefined ? [] : all("", "configmaps", "get list watch", configMap)),
  ];
}

/** The same for SCALER=native alone. */
export function scalingRights(deployment: string): Right[] {
  return ["get", "update", "patch"].map((verb) => ({
    verb,
    group: "apps",
    resource: "deployments",
    subresource: "scale",
    name: deployment,
  }));
}

function judgeDeployment({ replicas, failure, foreignScaler }: Awaited<ReturnType<ClusterProbe["deployment"]>>, name: string): Said {
  const here = `Deployment "${name}" wants ${replicas} pod${replicas === 1 ? "" : "s"}`;
  if (failure !== undefined) return warn(`${here}, and the cluster makes no more: ${failure}`, "mend what it says: a quota, Pod Security");
  if (foreignScaler !== undefined)
    return warn(
      `${here}, and "${foreignScaler}" scales it, so the leader does not`,
      "take the other scaler away, or say scaling.mode keda or none",
    );
  return ok(here);
}

function judgeScaling(name: string | undefined, data: Readonly<Record<string, string>> | undefined, base: ScalingSettings): Said {
  if (name === undefined)
    return warn("SCALING_CONFIGMAP names none: the environment's bounds hold", "name it, so that bounds change without a restart");
  if (data === undefined)
    return warn(
      `there is no ConfigMap "${name}", so the environment's bounds hold`,
      "install it with the chart, so that bounds change without a restart",
    );
  const read = readScalingSettings(data, base);
  if (!("settings" in read))
    return fail(`ConfigMap "${name}": ${read.faults.join("; ")}`, "correct it; until then the last good one holds");
  const { mode, min, max } = read.settings;
  return ok(`scaler ${mode}, ${min} to ${max} replicas`);
}

type Rights = { readonly mode: string; readonly place: Place; readonly may: readonly Right[] };

export function judgeRights({ mode, place, may }: Rights, role: string): Said {
  const allowed = new Set(may.map(textOf));
  const needed = [...rightsFor(place), ...(mode === "native" ? scalingRights(place.deployment) : [])].map(textOf);
  const missing = needed.filter((right) => !allowed.has(right));
  if (missing.length > 0) return fail(`may not ${missing.join(", ")}`, role);
  const spare = mode === "native" ? [] : scalingRights(place.deployment).map(textOf);
  if (spare.some((right) => allowed.has(right) && !right.startsWith("get ")))
    return warn(`has the ${needed.length} rights it needs, and may scale though the scaler is ${mode}`, "take the right to scale away");
  return ok(`has the ${needed.length} rights it needs`);
}

/** `update deployments/scale "runtime"`. */
function textOf({ verb, resource, subresource, name }: Right): string {
  return `${verb} ${resource}${subresource === undefined ? "" : `/${subresource}`}${name === undefined ? "" : ` "${name}"`}`;
}
