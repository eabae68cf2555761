import { BOT_IMAGE } from "../../scripts/lib/bot-image.ts";
import { DIND_IMAGE, RUNTIME_IMAGE } from "../../scripts/lib/cluster/images.ts";

const meta = (name: string, namespace = "default") => ({ name, namespace, labels: { app: name } });

// Debian's static busybox has a wget that faults as soon as it looks up a name, so it is Node and curl.
const serve = `console.log("this is " + process.env.NAME);
require("http").createServer((_, reply) => reply.end(process.env.NAME)).listen(8080)`;

export const webPod = (name: string, node: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: meta(name),
  spec: {
    nodeSelector: { "kubernetes.io/hostname": node },
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: "web",
        image: RUNTIME_IMAGE,
        imagePullPolicy: "IfNotPresent",
        command: ["node", "-e", serve],
        env: [{ name: "NAME", value: name }],
        readinessProbe: { httpGet: { path: "/name", port: 8080 }, periodSeconds: 1 },
      },
    ],
  },
});

export const webService = (name: string, namespace?: string) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: meta(name, namespace),
  spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
});

// As the chart has it: the Engine is a native sidecar with its own disk, and asks for some of the node's.
export const enginePod = (name: string, node: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: meta(name),
  spec: {
    nodeSelector: { "kubernetes.io/hostname": node },
    terminationGracePeriodSeconds: 0,
    initContainers: [
      {
        name: "copy",
        image: BOT_IMAGE,
        command: ["cp", "/bin/busybox", "/shared/busybox"],
        volumeMounts: [{ name: "shared", mountPath: "/shared" }],
      },
      {
        name: "docker",
        image: DIND_IMAGE,
        imagePullPolicy: "IfNotPresent",
        restartPolicy: "Always",
        args: ["dockerd", "--host=unix:///var/run/docker.sock"],
        startupProbe: { exec: { command: ["docker", "info"] }, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 60 },
        resources: { requests: { cpu: "100m", memory: "128Mi", "ephemeral-storage": "1Gi" } },
        securityContext: { privileged: true },
        volumeMounts: [
          { name: "data", mountPath: "/var/lib/docker" },
          { name: "shared", mountPath: "/shared" },
        ],
      },
    ],
    containers: [
      {
        name: "main",
        image: RUNTIME_IMAGE,
        imagePullPolicy: "IfNotPresent",
        command: ["sleep", "3600"],
      },
    ],
    volumes: [
      { name: "data", emptyDir: { sizeLimit: "1Gi" } },
      { name: "shared", emptyDir: {} },
    ],
  },
});
