// The hub: the space with the bridge, etcd, the API server, the controllers, the scheduler, the DNS server and a registry.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { type Subject, writeKubeconfig } from "./certificates.ts";
import { corefile, corefileOf } from "./dns.ts";
import type { Network } from "./network.ts";
import { registryDir } from "./registry.ts";
import type { Program } from "./space.ts";
import type { Tools } from "./tools.ts";

const components = ["kube-controller-manager", "kube-scheduler", "kube-proxy", "coredns"] as const;
export const hubPrograms = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "coredns", "registry"] as const;
export const serverOf = ({ api }: Network): string => `https://${api}:6443`;

export interface ControlPlaneOptions {
  readonly runDir: string;
  readonly tools: Tools;
  readonly network: Network;
}

/** Whom the control plane's certificates name. */
export function controlPlaneSubjects({ api, apiService }: Network): Subject[] {
  const names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
  const addresses = [api, apiService, "127.0.0.1"].map((address) => `IP:${address}`);
  return [
    { name: "apiserver", subject: "/CN=kube-apiserver", alternatives: [...addresses, ...names.map((name) => `DNS:${name}`)] },
    // Kubelets ask the API server whether it may read logs and run commands, and this group may do all.
    { name: "apiserver-kubelet", subject: "/O=system:masters/CN=apiserver-kubelet" },
    { name: "admin", subject: "/O=system:masters/CN=cluster-admin" },
    ...components.map((name) => ({ name, subject: `/CN=system:${name}` })),
  ];
}

export const auditLog = (runDir: string): string => join(runDir, "audit.log");
export const kubeconfigOf = (runDir: string, name: string): string => join(runDir, `${name}.kubeconfig`);

// Who scaled what, word for word; of all else who asked for what and what came of it: tests count requests.
const auditPolicy = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  omitManagedFields: true,
  rules: [
    {
      level: "RequestResponse",
      verbs: ["create", "update", "patch", "delete"],
      resources: [{ group: "apps", resources: ["deployments", "deployments/scale"] }],
    },
    { level: "Metadata" },
  ],
};

/** Writes the files that the control plane reads, but for the certificates. */
export async function writeControlPlaneFiles({ runDir, network }: ControlPlaneOptions): Promise<void> {
  await writeFile(join(runDir, "audit-policy.json"), JSON.stringify(auditPolicy));
  await writeFile(corefileOf(runDir), corefile(network, kubeconfigOf(runDir, "coredns")));
  for (const name of components) await writeKubeconfig(kubeconfigOf(runDir, name), join(runDir, "pki"), name, serverOf(network));
  await writeKubeconfig(join(runDir, "kubeconfig"), join(runDir, "pki"), "admin", serverOf(network));
}

/** The command line of each of them, by name. */
export function controlPlanePrograms({ runDir, tools, network }: ControlPlaneOptions): Record<(typeof hubPrograms)[number], Program> {
  const pki = (file: string) => join(runDir, "pki", file);
  const client = (name: string) => [`--kubeconfig=${kubeconfigOf(runDir, name)}`, "--leader-elect=false", "--bind-address=127.0.0.1"];
  const etcd = "http://127.0.0.1:2379";
  return {
    // Nothing in here has to survive the machine, and other people wait for this disk, too.
    etcd: [
      join(tools.bin, "etcd"),
      `--data-dir=${join(runDir, "etcd")}`,
      "--unsafe-no-fsync",
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      "--listen-peer-urls=http://127.0.0.1:2380",
      "--log-level=warn",
    ],
    "kube-apiserver": [
      join(tools.bin, "kube-apiserver"),
      `--etcd-servers=${etcd}`,
      "--bind-address=0.0.0.0",
      "--secure-port=6443",
      `--advertise-address=${network.api}`,
      `--service-cluster-ip-range=${network.services}`,
      "--allow-privileged=true",
      "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction",
      `--client-ca-file=${pki("ca.pem")}`,
      `--tls-cert-file=${pki("apiserver.pem")}`,
      `--tls-private-key-file=${pki("apiserver.key")}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${pki("accounts.pub")}`,
      `--service-account-signing-key-file=${pki("accounts.key")}`,
      `--kubelet-certificate-authority=${pki("ca.pem")}`,
      `--kubelet-client-certificate=${pki("apiserver-kubelet.pem")}`,
      `--kubelet-client-key=${pki("apiserver-kubelet.key")}`,
      "--kubelet-preferred-address-types=InternalIP",
      `--requestheader-client-ca-file=${pki("front-ca.pem")}`,
      "--requestheader-allowed-names=front-proxy-client",
      "--requestheader-username-headers=X-Remote-User",
      "--requestheader-group-headers=X-Remote-Group",
      "--requestheader-extra-headers-prefix=X-Remote-Extra-",
      `--proxy-client-cert-file=${pki("front.pem")}`,
      `--proxy-client-key-file=${pki("front.key")}`,
      `--audit-policy-file=${join(runDir, "audit-policy.json")}`,
      `--audit-log-path=${auditLog(runDir)}`,
    ],
    "kube-controller-manager": [
      join(tools.bin, "kube-controller-manager"),
      ...client("kube-controller-manager"),
      "--use-service-account-credentials=true",
      `--service-account-private-key-file=${pki("accounts.key")}`,
      `--root-ca-file=${pki("ca.pem")}`,
    ],
    "kube-scheduler": [join(tools.bin, "kube-scheduler"), ...client("kube-scheduler")],
    coredns: [join(tools.bin, "coredns"), "-conf", corefileOf(runDir)],
    registry: [process.execPath, join(import.meta.dirname, "registry-server.ts"), registryDir(runDir), network.api],
  };
}
