// The cluster's DNS: a CoreDNS of the hub that answers for Services out of the API server. It has an address of its own, for
// a node that is cut off from the API server goes on finding its Services.
import { Resolver } from "node:dns/promises";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { run } from "../command.ts";
import type { Network } from "./network.ts";
import { MIRROR_NAME } from "./registry.ts";

export const clusterDomain = "cluster.local";

const meta = { name: "system:coredns" };
// All that it may do.
const rights = [
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: meta,
    rules: [
      { apiGroups: [""], resources: ["services", "namespaces"], verbs: ["list", "watch"] },
      { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
    ],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: meta,
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: meta.name },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: meta.name }],
  },
];

export const corefileOf = (runDir: string): string => join(runDir, "Corefile");

// Nothing is cached: a Service is to be found as soon as it is there. Whatever lies outside is said not to exist, at once,
// for there is no way out to ask anybody.
export const corefile = ({ dns, api }: Network, kubeconfig: string): string => `. {
  bind ${dns}
  errors
  template IN A ${MIRROR_NAME} {
    answer "{{ .Name }} 60 IN A ${api}"
  }
  template IN AAAA ${MIRROR_NAME} {
    rcode NOERROR
  }
  kubernetes ${clusterDomain} in-addr.arpa ip6.arpa {
    kubeconfig ${kubeconfig}
  }
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`;

/** Lets CoreDNS read what it answers from. To be done before it starts: refused, it asks again only after longer and longer
 *  pauses. */
export async function grantDns(runDir: string, bin: string): Promise<void> {
  const file = join(runDir, "dns-rights.json");
  await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: rights }));
  const KUBECONFIG = join(runDir, "kubeconfig");
  await run(join(bin, "kubectl"), ["create", "--validate=false", "-f", file], { env: { ...process.env, KUBECONFIG } });
}

/** Whether it knows the Services. */
export async function answersDns({ dns, apiService }: Network): Promise<true | undefined> {
  const resolver = new Resolver({ timeout: 1000, tries: 1 });
  resolver.setServers([dns]);
  const found = await resolver.resolve4(`kubernetes.default.svc.${clusterDomain}`).catch((): string[] => []);
  return found.includes(apiService) || undefined;
}
