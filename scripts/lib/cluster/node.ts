// A node: a space with a containerd, a kubelet and a kube-proxy. Its cgroup is its own: two kubelets under one cgroup root
// take each other's pods for leftovers and kill them.
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";

import { type Subject, writeKubeconfig } from "./certificates.ts";
import { makeCgroup } from "./cgroup.ts";
import { kubeconfigOf, serverOf } from "./control-plane.ts";
import { clusterDomain } from "./dns.ts";
import { PAUSE_IMAGE } from "./images.ts";
import type { Network, NodeAddress } from "./network.ts";
import type { Program } from "./space.ts";
import type { Tools } from "./tools.ts";

export const nodePrograms = ["containerd", "kubelet", "kube-proxy"] as const;

export interface NodeOptions {
  readonly runDir: string;
  readonly tools: Tools;
}

const cgroupOf = (runDir: string, node: string): string => `${basename(runDir)}-${node}`;
const containerdSocket = "/run/containerd/containerd.sock";

/** What the API server and kubelet know each other by. */
export const nodeSubject = ({ name, address }: NodeAddress): Subject => ({
  name: `node-${name}`,
  subject: `/O=system:nodes/CN=system:node:${name}`,
  alternatives: [`IP:${address}`, `DNS:${name}`],
});

/** The command line of each of them, by name. */
export function programsOfNode(
  { runDir, tools }: NodeOptions,
  { name, address }: NodeAddress,
): Record<(typeof nodePrograms)[number], Program> {
  const file = (what: string) => join(runDir, name, what);
  return {
    containerd: [join(tools.bin, "containerd"), "--config", file("containerd.toml"), "--log-level", "warn"],
    kubelet: [
      join(tools.bin, "kubelet"),
      `--config=${file("kubelet.json")}`,
      `--kubeconfig=${kubeconfigOf(runDir, `node-${name}`)}`,
      `--hostname-override=${name}`,
      `--node-ip=${address}`,
    ],
    "kube-proxy": [join(tools.bin, "kube-proxy"), `--config=${file("kube-proxy.json")}`],
  };
}

/** Writes the files that its programs read, and makes its cgroup. */
export async function writeNodeFiles({ runDir, tools }: NodeOptions, network: Network, node: NodeAddress): Promise<void> {
  const dir = join(runDir, node.name);
  const pki = (file: string) => join(runDir, "pki", file);
  await mkdir(join(dir, "cni"), { recursive: true });
  await writeFile(join(dir, "containerd.toml"), containerdConfig(dir, tools));
  await writeFile(join(dir, "cni", "10-pods.conflist"), JSON.stringify(podNetwork(node)));
  await writeFile(join(dir, "resolv.conf"), "");
  await writeKubeconfig(kubeconfigOf(runDir, `node-${node.name}`), join(runDir, "pki"), `node-${node.name}`, serverOf(network));
  const kubelet = {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: node.address,
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: pki("ca.pem") } },
    authorization: { mode: "Webhook" },
    tlsCertFile: pki(`node-${node.name}.pem`),
    tlsPrivateKeyFile: pki(`node-${node.name}.key`),
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    clusterDNS: [network.dns],
    clusterDomain,
    resolvConf: join(dir, "resolv.conf"),
    volumePluginDir: "/var/lib/kubelet/volume-plugins",
    cgroupRoot: `/${cgroupOf(runDir, node.name)}`,
    cgroupDriver: "cgroupfs",
    failCgroupV1: false,
    enforceNodeAllocatable: [],
    // Without CAP_SYS_RESOURCE nobody may lower it.
    oomScoreAdj: 0,
    failSwapOn: false,
    // The disk is shared with everybody; how full it is, is not the cluster's affair.
    evictionHard: { "memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%" },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
  };
  await writeFile(join(dir, "kubelet.json"), JSON.stringify(kubelet, null, 2));
  const proxy = {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    clientConnection: { kubeconfig: kubeconfigOf(runDir, "kube-proxy") },
    hostnameOverride: node.name,
    bindAddress: node.address,
    healthzBindAddress: `${node.address}:10256`,
    metricsBindAddress: "127.0.0.1:10249",
    clusterCIDR: node.pods,
    mode: "iptables",
    oomScoreAdj: 0,
    // These would be the machine's.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
  };
  await writeFile(join(dir, "kube-proxy.json"), JSON.stringify(proxy, null, 2));
  await makeCgroup(runDir, cgroupOf(runDir, node.name));
}

function containerdConfig(dir: string, { plugins, runc }: Tools): string {
  const runtime = "plugins.'io.containerd.cri.v1.runtime'";
  return `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
address = "${containerdSocket}"
[plugins.'io.containerd.internal.v1.opt']
path = "/var/lib/containerd/opt"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "${PAUSE_IMAGE}"
[${runtime}]
# Without CAP_SYS_RESOURCE no process may lower its score, and each sandbox would end with "can't get final child's PID".
restrict_oom_score_adj = true
[${runtime}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[${runtime}.containerd.runtimes.runc.options]
BinaryName = "${runc}"
SystemdCgroup = false
[${runtime}.cni]
bin_dirs = ["${plugins}"]
conf_dir = "${join(dir, "cni")}"
`;
}

// Pods keep their own addresses on the way out: a server on the machine sees which pod called.
const podNetwork = ({ pods }: NodeAddress) => ({
  cniVersion: "1.0.0",
  name: "pods",
  plugins: [
    {
      type: "bridge",
      bridge: "cni0",
      isGateway: true,
      hairpinMode: true,
      ipam: { type: "host-local", ranges: [[{ subnet: pods }]], routes: [{ dst: "0.0.0.0/0" }], dataDir: "/run/cni-addresses" },
    },
    { type: "portmap", capabilities: { portMappings: true } },
  ],
});
