// Values that cannot work are refused by Helm, before anything is installed, and told with their fix.
import { expect } from "chai";

import { helms, LEAST, merge, refusal, render, type Values } from "../support/chart.ts";

type Case = readonly [why: string, values: Values, ...says: string[]];

const env = (...names: string[]): Values[] => names.map((name) => ({ name, value: "x" }));

const missing: readonly Case[] = [
  ["nothing was said", { image: { repository: null }, mongodb: { uri: null } }, "image.repository: must", "mongodb.uri: must"],
  ["two sources of the connection string", { mongodb: { existingSecret: "a" } }, "mongodb: set uri or existingSecret, not both"],
  ["another database's connection string", { mongodb: { uri: "postgres://a" } }, "mongodb.uri: must be a connection string"],
  ["a secret without its key", { mongodb: { uri: null, existingSecret: "a", secretKey: "" } }, "mongodb.secretKey: must name"],
  ["two faults", { scaling: { mode: "x" }, bots: { maxSegment: 0 } }, "scaling.mode: must", "bots.maxSegment: must"],
  [
    "crossing bounds beside another fault",
    { scaling: { mode: "x", minReplicas: 41 } },
    "scaling.mode: must",
    "scaling.minReplicas: must be at most",
  ],
  ["a group that is not there", { scaling: null, dind: { image: null } }, "scaling: must not be null", "dind.image: must not be null"],
];

const numbers: readonly Case[] = [
  ["bounds that cross", { scaling: { minReplicas: 41 } }, 'scaling.minReplicas: must be at most scaling.maxReplicas (40), got "41"'],
  ["no pods", { scaling: { minReplicas: 0 } }, 'scaling.minReplicas: must be a whole number from 1 to 10000, got "0"'],
  ["words for a number", { scaling: { maxReplicas: "many" } }, 'scaling.maxReplicas: must be a whole number from 1 to 10000, got "many"'],
  ["half a second", { scaling: { cooldownSeconds: 1.5 } }, 'scaling.cooldownSeconds: must be a whole number from 0 to 86400, got "1.5"'],
  ["an unknown scaler", { scaling: { mode: "hpa" } }, 'scaling.mode: must be one of native, keda, none, got "hpa"'],
  ["a tiny MTU", { dind: { mtu: 14 } }, 'dind.mtu: must be a whole number from 576 to 65535, got "14"'],
  ["another DNS", { pod: { dnsPolicy: "dns" } }, 'pod.dnsPolicy: must be one of ClusterFirst, Default, None, got "dns"'],
  ["a word for a switch", { lease: { create: "no" } }, 'lease.create: must be one of true, false, got "no"'],
  [
    "a size in bytes, where gigabytes were meant",
    { dind: { dataSizeLimit: 20 } },
    'dind.dataSizeLimit: must be a size with its unit, such as 20Gi, got "20"',
  ],
  [
    "a unit that Kubernetes has not",
    { runtime: { stateSizeLimit: "1GB" } },
    'runtime.stateSizeLimit: must be a size with its unit, such as 20Gi, got "1GB"',
  ],
];

const images: readonly Case[] = [
  ["an image of the guide's placeholder", { image: { repository: "gcr.io/YOUR_PROJECT/runtime" } }, "image.repository: must say where"],
  [
    "a repository with its tag",
    { image: { repository: "mine/runtime:1" } },
    "image.repository: must say where you pushed the runtime's image, in lower case and without its tag",
  ],
  [
    "an Engine's repository with its tag",
    { dind: { image: { repository: "docker:29-dind" } } },
    "dind.image.repository: must name an image, in lower case and without its tag",
  ],
  // YAML's 1.10 is the number 1.1.
  [
    "a tag that is a number",
    { image: { tag: 1.1 }, dind: { image: { tag: 29 } } },
    "image.tag: must be a tag as a string",
    "dind.image.tag: must be a tag as a string",
  ],
  [
    "a tag that is none",
    { image: { tag: "a b" } },
    'image.tag: must be a tag as a string, such as "1.10" in quotes (with --set-string on the command line), got "a b"',
  ],
];

const references: readonly Case[] = [
  [
    "a registry that is an address of the web",
    { image: { registry: "https://registry.example" } },
    'image.registry: must be a host, with its port if it has one, such as registry.example:5000, got "https://registry.example"',
  ],
  ["a short digest", { image: { digest: "sha256:abc" } }, 'image.digest: must be sha256: and 64 hexadecimal digits, got "sha256:abc"'],
  [
    "two digests",
    { dind: { image: { tag: `29@sha256:${"a".repeat(64)}`, digest: `sha256:${"b".repeat(64)}` } } },
    "dind.image.digest: must not be set beside a digest in dind.image.tag: leave out one of them",
  ],
  [
    "a mirror without its scheme",
    { dind: { registryMirrors: ["mirror.example"] } },
    'dind.registryMirrors: must be addresses such as https://mirror.example, got "mirror.example"',
  ],
];

const objects: readonly Case[] = [
  ["a name with a capital", { fullnameOverride: "Bots" }, "fullnameOverride: must be at most 50 lower-case letters", 'got "Bots"'],
  ["a name that is too long", { fullnameOverride: "b".repeat(51) }, "fullnameOverride: must be at most 50"],
  ["a service account that nobody names", { serviceAccount: { create: false } }, "serviceAccount.name: must name the service account"],
  [
    "a budget that no drain gets by",
    { podDisruptionBudget: { maxUnavailable: 0 } },
    "podDisruptionBudget.maxUnavailable: must be a number of pods or a share, such as 1 or 10%, and not 0",
  ],
  ["a share of nothing", { podDisruptionBudget: { maxUnavailable: "0%" } }, 'which no drain gets by, got "0%"'],
  ["TLS without a file", { mongodb: { tls: { existingSecret: "a", caKey: null } } }, "mongodb.tls: must name a key of existingSecret"],
  ["a certificate from nowhere", { mongodb: { tls: { certKey: "a" } } }, "mongodb.tls.certKey: must come with the Secret that has it"],
  [
    "scrapes at a bare number",
    { monitoring: { serviceMonitor: { interval: 15 } } },
    'monitoring.serviceMonitor.interval: must be a duration such as 15s, got "15"',
  ],
  [
    "a word for a switch of monitoring",
    { monitoring: { dashboards: { enabled: "yes" } } },
    "monitoring.dashboards.enabled: must be one of",
  ],
  ["a name for whom to let in", { networkPolicy: { ingressFrom: ["monitoring"] } }, "networkPolicy.ingressFrom: must be a list of objects"],
  ["a network for a rule", { networkPolicy: { egress: { bots: ["0.0.0.0/0"] } } }, "networkPolicy.egress.bots: must be a list of objects"],
  ["a word for a toleration", { pod: { tolerations: ["all"] } }, "pod.tolerations: must be a list of objects"],
  ["no patience with lost nodes", { pod: { lostNodeSeconds: -1 } }, "pod.lostNodeSeconds: must be a whole number from 0 to 86400"],
  ["a number for an object", { extraObjects: [7] }, "extraObjects: must be a list of objects or texts, got 7 in it"],
  ["a group of monitoring that is not there", { monitoring: null }, "monitoring: must not be null"],
];

const lists: readonly Case[] = [
  ["names where objects belong", { imagePullSecrets: ["mine"] }, "imagePullSecrets: must be a list of objects with a name"],
  ["variables as pairs", { runtime: { extraEnv: ["A=b"] } }, "runtime.extraEnv: must be a list of objects with a name"],
  [
    "a variable that the chart sets",
    { runtime: { extraEnv: env("MAX_SEGMENT") } },
    "runtime.extraEnv: must not set MAX_SEGMENT, which is set already",
  ],
  [
    "a variable of the fence",
    { dind: { extraEnv: env("BOT_DENY_PORTS") } },
    "dind.extraEnv: must not set BOT_DENY_PORTS, which is set already",
  ],
  ["one variable twice", { runtime: { extraEnv: env("A", "A") } }, "runtime.extraEnv: must not set A, which is set already"],
  [
    "a network without dots",
    { dind: { denyCidrs: ["10.0.0.0/8", "10/8"] } },
    'dind.denyCidrs: must be networks such as 10.96.0.0/12 or fd00::/8, got "10/8"',
  ],
  ["a network of 33 bits", { dind: { denyCidrs: ["10.0.0.0/33"] } }, 'got "10.0.0.0/33"'],
  ["a name for a network", { dind: { denyCidrs: ["mongo"] } }, 'got "mongo"'],
];

const guarded: readonly Case[] = [
  ["a throttled fence", { dind: { resources: { limits: { cpu: 1 } } } }, "dind.resources.limits.cpu: must not be set"],
  ["an Engine on the network", { dind: { extraArgs: ["--host=tcp://0.0.0.0:2375"] } }, "dind.extraArgs: must not open another socket"],
  ["the same in short", { dind: { extraArgs: ["-H", "tcp://0.0.0.0:2375"] } }, "dind.extraArgs: must not open another socket"],
  [
    "a label that pods are found by",
    { pod: { labels: { "app.kubernetes.io/name": "x" } } },
    "pod.labels: must not set app.kubernetes.io/name",
  ],
  ["the leader's label", { pod: { labels: { "botrunner.io/leader": "true" } } }, "pod.labels: must not set botrunner.io/leader"],
  ["the fence's checksum", { pod: { annotations: { "checksum/fence": "x" } } }, "pod.annotations: must not set checksum/fence"],
];

const shapes: readonly Case[] = [
  ["an unknown key", { replicaCount: 3 }, "additional properties 'replicaCount' not allowed"],
  ["a key with a typo", { scaling: { maxReplica: 60 } }, "at '/scaling'", "additional properties 'maxReplica' not allowed"],
  ["a word for a group", { dind: { image: "docker:29-dind" } }, "at '/dind/image': got string, want object"],
  ["a word for a list", { dind: { denyCidrs: "10.96.0.0/12" } }, "at '/dind/denyCidrs': got string, want"],
  ["a list for a map", { pod: { annotations: ["a"] } }, "at '/pod/annotations': got array, want"],
];

for (const helm of helms)
  describe(`chart refusals by ${helm.name}`, () => {
    for (const [why, values, ...says] of [...missing, ...numbers, ...images, ...references, ...objects, ...lists, ...guarded, ...shapes])
      it(why, () => {
        const said = refusal(helm, merge(LEAST, values)).replaceAll('\\"', '"');
        for (const part of says) expect(said).to.include(part);
      });

    it("a cluster without native sidecars", () => {
      expect(refusal(helm, LEAST, { kube: "1.28.15" })).to.match(/kubeVersion: >=1\.29\.0-0/);
    });

    it("nothing of what a chart around this one says to all its parts, and no emptied list", () => {
      const values = { global: { imageRegistry: "mine" }, imagePullSecrets: null, runtime: { extraEnv: null }, pod: { labels: null } };
      expect(refusal(helm, merge(LEAST, values))).to.equal("");
    });

    it("nothing of what people rightly say", () => {
      const digest = `sha256:${"a".repeat(64)}`;
      const values = {
        image: { repository: "registry.example:5000/team_a/run-time", tag: `1.10@${digest}` },
        imagePullSecrets: [{ name: "mine" }],
        scaling: { minReplicas: "2", maxReplicas: 2 },
        dind: {
          denyCidrs: ["10.96.0.0/12", "192.168.1.1", "fd00::/8", "::1"],
          dataSizeLimit: "1.5Ti",
          extraArgs: ["--registry-mirror=https://host.example", "--host-gateway-ip=10.0.0.1"],
          extraEnv: env("HTTP_PROXY"),
        },
        pod: { labels: { team: "a" }, annotations: { "checksum/mine": "1" } },
      };
      const { image } = render(helm, values).one("Deployment")["spec"].template.spec.containers[0];
      expect(image).to.equal(`registry.example:5000/team_a/run-time:1.10@${digest}`);
    });
  });
