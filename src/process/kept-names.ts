import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { keptLine } from "./kept-line.ts";

/** What names a worker for all its lives where neither Kubernetes nor a Docker Engine that is up can do so: an id made at
 *  the first start and kept in the state directory, whose lock only one process holds. */
export const workerIdOf = (stateDir: string): Promise<string> => keptLine(join(stateDir, "worker-id"), randomUUID);

/** The UID of the Deployment that a pod belongs to, kept in the pod's state directory: a process that comes back while the
 *  API server is away must not leave its bots to the fence for want of a name that it knew. */
export const deploymentUidOf = (stateDir: string, ask: () => Promise<string>): Promise<string> =>
  keptLine(join(stateDir, "deployment-uid"), ask);
