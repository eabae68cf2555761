// What the API server's audit log says, a JSON line for each request.
import { readFile } from "node:fs/promises";

export interface Asked {
  /** When the API server had it, in ms since 1970. */
  readonly at: number;
  readonly user: string;
  readonly verb: string;
  /** `deployments/scale`, `leases`. */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  readonly status: number;
  /** What was written, of scalings and Deployments only. */
  readonly replicas: number | undefined;
}

type Line = {
  readonly requestReceivedTimestamp: string;
  readonly verb: string;
  readonly user?: { readonly username?: string };
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string; readonly namespace?: string; readonly name?: string };
  readonly responseStatus?: { readonly code?: number };
  readonly requestObject?: { readonly spec?: { readonly replicas?: number } };
};

/** All finished requests so far, in their order. A line that is just being written is left out. */
export async function readAudit(path: string): Promise<Asked[]> {
  const lines = (await readFile(path, "utf8")).split("\n").slice(0, -1);
  return lines.map((line) => {
    const { requestReceivedTimestamp, verb, user, objectRef = {}, responseStatus, requestObject } = JSON.parse(line) as Line;
    const { resource = "", subresource, namespace = "", name = "" } = objectRef;
    return {
      at: Date.parse(requestReceivedTimestamp),
      user: user?.username ?? "",
      verb,
      resource: subresource === undefined ? resource : `${resource}/${subresource}`,
      namespace,
      name,
      status: responseStatus?.code ?? 0,
      replicas: requestObject?.spec?.replicas,
    };
  });
}
