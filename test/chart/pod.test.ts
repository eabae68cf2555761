import { expect } from "chai";

import { type VariableName, variables } from "../../src/config/variables.ts";
import { helms, render, type Rendered, type Values } from "../support/chart.ts";

type Env = { name: string; value?: string; valueFrom?: unknown }[];
type Mount = { name: string; mountPath: string };

const podOf = ({ one }: Rendered) => one("Deployment")["spec"].template.spec;
const mountsOf = (container: { volumeMounts: Mount[] }) => Object.fromEntries(container.volumeMounts.map((m) => [m.name, m.mountPath]));
const keda = { serverAddress: "http://prometheus" };

for (const helm of helms)
  describe(`chart Deployment by ${helm.name}`, () => {
    it("never sets spec.replicas", () => {
      for (const mode of ["native", "keda", "none"])
        expect(render(helm, { scaling: { mode, keda } }).one("Deployment")["spec"]).not.to.have.property("replicas");
    });

    it("is byte for byte the same whatever the scaling is", () => {
      const before = render(helm).text("Deployment");
      const bounds = { minReplicas: 5, maxReplicas: 60, standbyWorkers: 2, checkIntervalSeconds: 9, cooldownSeconds: 90 };
      const scaling = { mode: "keda", keda, ...bounds };
      expect(render(helm, { scaling }).text("Deployment")).to.equal(before);
    });

    it("never goes below its pods in a rolling update", () => {
      expect(render(helm).one("Deployment")["spec"].strategy.rollingUpdate).to.deep.equal({ maxUnavailable: 0, maxSurge: "25%" });
    });

    it("gives pods 35 s more than the longest stop of a bot", () => {
      expect(podOf(render(helm, { bots: { maxStopGraceSeconds: 3600 } })).terminationGracePeriodSeconds).to.equal(3635);
      expect(podOf(render(helm, { bots: { maxStopGraceSeconds: 0 } })).terminationGracePeriodSeconds).to.equal(35);
    });

    it("sets variables that the runtime has, to values that it takes", () => {
      const env = podOf(render(helm, { registryAuthSecret: "r" })).containers[0].env as Env;
      for (const { name, value } of env) {
        expect(variables).to.have.property(name);
        if (value !== undefined) expect(variables[name as VariableName].read.safeParse(value), name).to.have.property("success", true);
      }
      const fields = env.filter(({ valueFrom }) => valueFrom).map(({ name, valueFrom }) => [name, valueFrom]);
      expect(Object.fromEntries(fields)).to.deep.equal({
        POD_NAME: { fieldRef: { fieldPath: "metadata.name" } },
        NAMESPACE: { fieldRef: { fieldPath: "metadata.namespace" } },
        POD_UID: { fieldRef: { fieldPath: "metadata.uid" } },
        NODE_NAME: { fieldRef: { fieldPath: "spec.nodeName" } },
        MONGO_URI: { secretKeyRef: { name: "runtime-mongodb", key: "MONGO_URI" } },
      });
      const set = Object.fromEntries(env.map(({ name, value }) => [name, value]));
      expect(set).to.deep.include({
        COORDINATION: "kubernetes",
        DEPLOYMENT_NAME: "runtime",
        LEASE_LOCK_NAME: "runtime",
        SCALING_CONFIGMAP: "runtime-scaling",
        MAX_SEGMENT: "64",
      });
    });

    it("asks the Secret that it was told, by its key", () => {
      const env = podOf(render(helm, { mongodb: { uri: null, existingSecret: "mine", secretKey: "uri" } })).containers[0].env as Env;
      expect(env.find(({ name }) => name === "MONGO_URI")?.valueFrom).to.deep.equal({ secretKeyRef: { name: "mine", key: "uri" } });
    });

    it("restricts the runtime as Pod Security's strictest profile asks", () => {
      expect(podOf(render(helm)).containers[0].securityContext).to.deep.equal({
        runAsNonRoot: true,
        runAsUser: 10001,
        runAsGroup: 10001,
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ["ALL"] },
        seccompProfile: { type: "RuntimeDefault" },
      });
    });

    it("gives rights on the node to the Engine's container alone", () => {
      const pod = podOf(render(helm));
      const all = [...pod.initContainers, ...pod.containers] as { name: string; securityContext: { privileged?: boolean } }[];
      expect(all.map(({ name, securityContext }) => [name, securityContext.privileged ?? false])).to.deep.equal([
        ["docker", true],
        ["runtime", false],
      ]);
    });

    it("asks for room on the node, and for no share of its processors at most", () => {
      const pod = podOf(render(helm));
      const [docker, runtime] = [pod.initContainers[0].resources, pod.containers[0].resources];
      // Without the request a full node evicts these pods first; a throttled fence kills too late.
      expect(docker.requests).to.have.all.keys("cpu", "memory", "ephemeral-storage");
      expect({ ...docker.limits, ...runtime.limits }).not.to.have.property("cpu");
    });

    it("starts the Engine under the fence, by its image's own entrypoint and on a unix socket alone", () => {
      const [docker] = podOf(render(helm)).initContainers;
      expect(docker).to.deep.include({ name: "docker", image: "docker:dind", restartPolicy: "Always" });
      expect(docker.command).to.deep.equal(["sh", "/opt/bot-runner/fence.sh"]);
      expect(docker.args.slice(0, 2)).to.deep.equal(["dockerd-entrypoint.sh", "dockerd"]);
      expect((docker.args as string[]).filter((arg) => /^(-H|--host)/.test(arg))).to.deep.equal([
        "--host=unix:///run/docker-socket/docker.sock",
      ]);
      expect(docker.args).to.include("--group=10001").and.to.include("--log-driver=local");
    });

    it("tells the MTU for all networks, if it was told one", () => {
      const args = (values: Values) => podOf(render(helm, values)).initContainers[0].args as string[];
      expect(args({ dind: { mtu: 1450 } })).to.include.members([
        "--mtu=1450",
        "--default-network-opt=bridge=com.docker.network.driver.mtu=1450",
      ]);
      expect(args({}).filter((arg) => arg.includes("mtu"))).to.deep.equal([]);
    });

    it("shares fence, socket and state under the same paths, and the token with nobody", () => {
      const pod = podOf(render(helm));
      const [docker, runtime] = [mountsOf(pod.initContainers[0]), mountsOf(pod.containers[0])];
      const shared = { fence: "/run/bot-runner", socket: "/run/docker-socket", state: "/var/lib/bot-runner" };
      expect(docker).to.deep.equal({ ...shared, "docker-data": "/var/lib/docker", "fence-script": "/opt/bot-runner" });
      expect(runtime).to.deep.equal({ ...shared, account: "/var/run/secrets/kubernetes.io/serviceaccount" });
      expect(pod.automountServiceAccountToken).to.equal(false);
      const volumes = Object.fromEntries((pod.volumes as { name: string }[]).map(({ name, ...what }) => [name, what]));
      expect(volumes["fence"]).to.deep.equal({ emptyDir: { medium: "Memory", sizeLimit: "1Mi" } });
      expect(volumes["docker-data"]).to.deep.equal({ emptyDir: { sizeLimit: "20Gi" } });
      expect(pod).not.to.have.any.keys("securityContext", "hostPID", "hostNetwork", "shareProcessNamespace");
    });

    it("asks the fence for ticks, and only the runtime whether it is ready", () => {
      const pod = podOf(render(helm));
      const [docker, runtime] = [pod.initContainers[0], pod.containers[0]];
      expect(docker.livenessProbe.exec.command).to.deep.equal(["sh", "/opt/bot-runner/fence.sh", "probe"]);
      expect(docker.startupProbe.exec.command.join(" "))
        .to.include("$FENCE_DIR/tick")
        .and.not.to.match(/docker|probe/);
      expect(docker).not.to.have.property("readinessProbe");
      expect(runtime.livenessProbe.httpGet).to.deep.equal({ path: "/healthz", port: "http" });
      expect(runtime.readinessProbe.httpGet).to.deep.equal({ path: "/readyz", port: "http" });
      // Row 5 of the faults: tick, two looks, grace, kill; 1 s of renewal and 5 % of drift off the leader's 10 s.
      const looks = ({ livenessProbe: { periodSeconds, failureThreshold, terminationGracePeriodSeconds } }: typeof docker): number =>
        5 + periodSeconds * failureThreshold + terminationGracePeriodSeconds;
      expect(looks(docker)).to.be.at.most(10 * 0.95 - 1);
      // Twice as long with the timings of ci, and so the looks may come less often.
      expect(looks(podOf(render(helm, { runtime: { timings: "ci" } })).initContainers[0])).to.be.at.most(20 * 0.95 - 1);
    });
  });
