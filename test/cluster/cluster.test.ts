// The cluster that other tests stand on: what they count on in it, and that nothing of it is left.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

import { expect } from "chai";

import { openCache } from "../../scripts/lib/cache.ts";
import { type Cluster, findCluster } from "../../scripts/lib/cluster/cluster.ts";
import { run, until } from "../../scripts/lib/command.ts";
import { compareSnapshots, snapshot, type Snapshot } from "../../scripts/lib/machine-snapshot.ts";
import { startPrivateMongo } from "../../scripts/lib/private-mongo.ts";
import { openRun } from "../../scripts/lib/run-dir.ts";
import { apiServer } from "./api-server.ts";
import { enginePod, webPod, webService } from "./pods.ts";

const mongodb = new URL("../../examples/mongodb.yaml", import.meta.url).pathname;
const command = new URL("../../scripts/cluster", import.meta.url).pathname;
const own = { ...process.env, DOCKER_HOST: "", DOCKER_IS_PRIVATE: "" };
const runCommand = (...words: string[]) => run(command, words, { env: own });

/** Waits for the machine to be as it was: what has just been killed takes a moment to be gone. */
async function differences(before: Snapshot): Promise<string[]> {
  let left: string[] = [];
  for (let attempt = 0; attempt < 40; attempt++) {
    left = compareSnapshots(before, await snapshot());
    if (left.length === 0) break;
    await sleep(250);
  }
  return left;
}

describe("a cluster whose creator was killed half-way", function () {
  this.timeout(300_000);
  let runDir: string;
  beforeEach(async () => (runDir = (await openRun()).dir));
  afterEach(async () => {
    await runCommand("down", "--run-dir", runDir);
  });

  // The first line comes when the namespaces are there and hold nothing, the second when programs run in them.
  for (const said of ["namespaces and network", "control plane and containerd"]) {
    it(`leaves nothing after down: killed at "${said}"`, async () => {
      const before = await snapshot();
      const child = spawn(command, ["up", "--bare", "--run-dir", runDir], {
        detached: true,
        stdio: ["ignore", "ignore", "pipe"],
        env: own,
      });
      const lines = createInterface(child.stderr);
      for await (const line of lines) if (line.includes(said)) break;
      if (child.pid === undefined) throw new Error("Cannot start scripts/cluster");
      process.kill(-child.pid, "SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      expect(child.signalCode).to.equal("SIGKILL");
      expect(compareSnapshots(before, await snapshot())).to.not.deep.equal([]);
      await runCommand("down", "--run-dir", runDir);
      expect((await differences(before)).join("\n")).to.equal("");
    });
  }
});

describe("a cluster", function () {
  this.timeout(300_000);
  let asItWas: Snapshot;
  let runDir: string;
  let line: string;
  let cluster: Cluster;
  let server: Server;
  let callers: string[];
  const kubectl = (...words: string[]) =>
    run(join(cluster.bin, "kubectl"), ["--request-timeout=20s", ...words], { env: { ...process.env, KUBECONFIG: cluster.kubeconfig } });
  const ipOf = (pod: string) => kubectl("get", "pod", pod, "-o", "jsonpath={.status.podIP}");
  const serviceIp = (name: string, namespace = "default") =>
    kubectl("get", "service", "--namespace", namespace, name, "-o", "jsonpath={.spec.clusterIP}");
  /** What a pod gets from there within a second; undefined when that is nothing at all. */
  const reach = (pod: string, url: string) =>
    kubectl("exec", pod, "--", "curl", "--silent", "--max-time", "1", url).then(
      (text) => text.trim(),
      () => undefined,
    );
  const machine = () => `http://${cluster.network.machine}:${(server.address() as AddressInfo).port}/`;
  const refusal = "Client sent an HTTP request to an HTTPS server.";
  const apiService = () => `http://${cluster.network.apiService}:443/`;

  before(async () => {
    asItWas = await snapshot();
    runDir = (await openRun()).dir;
    line = (await runCommand("up", "--run-dir", runDir)).trim();
    cluster = await findCluster(runDir);
    callers = [];
    server = createServer((request, reply) => {
      callers.push(request.socket.remoteAddress ?? "");
      reply.end("machine");
    }).listen(0, cluster.network.machine);
    await once(server, "listening");
    const file = join(runDir, "pods.json");
    const services = [webService("two"), { apiVersion: "v1", kind: "Namespace", metadata: { name: "far" } }, webService("away", "far")];
    const items = [webPod("one", "n1"), webPod("two", "n2"), ...services, enginePod("engine", "n1")];
    await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    await kubectl("apply", "-f", file);
    await kubectl("apply", "-f", mongodb);
    await kubectl("wait", "--for=condition=Ready", "--timeout=120s", "pod/one", "pod/two");
  });
  after(async () => {
    server?.close();
    await runCommand("down", "--run-dir", runDir);
  });

  it("prints where its kubeconfig is, and nothing else", () => {
    expect(line).to.equal(`export KUBECONFIG=${runDir}/kubeconfig`);
  });
  it("has two ready nodes with a pod on each", async () => {
    const nodes = await kubectl("get", "nodes", "-o", "jsonpath={range .items[*]}{.metadata.name} {.spec.taints}{end}");
    expect(nodes).to.equal("n1 n2 ");
    expect(await kubectl("get", "pods", "one", "two", "-o", "jsonpath={.items[*].spec.nodeName}")).to.equal("n1 n2");
    expect(await runCommand("status", "--run-dir", runDir)).to.match(/n1: Ready.*\nn2: Ready/);
  });
  it("connects pods across nodes, by address and by Service", async () => {
    expect(await reach("one", `http://${await ipOf("two")}:8080/name`)).to.equal("two");
    expect(await reach("two", `http://${await ipOf("one")}:8080/name`)).to.equal("one");
    const service = await serviceIp("two");
    expect(await until("the Service", 20_000, () => reach("one", `http://${service}/name`))).to.equal("two");
  });
  it("resolves the names of Services, its own namespace's and others', and says at once what there is not", async () => {
    const lookUp = (name: string) => {
      const script = `const began = performance.now();
        require("dns").lookup(${JSON.stringify(name)}, (error, address) =>
          console.log(performance.now() - began < 2000 ? (error?.code ?? address) : "late"))`;
      return kubectl("exec", "one", "--", "node", "-e", script).then((text) => text.trim());
    };
    expect(await lookUp("two")).to.equal(await serviceIp("two"));
    expect(await lookUp("away.far")).to.equal(await serviceIp("away", "far"));
    for (const unknown of ["away", "two.far", "example.com"]) expect(await lookUp(unknown)).to.equal("ENOTFOUND");
  });
  it("runs examples/mongodb.yaml: pods write and watch there, and come back by a name that all namespaces know", async () => {
    await kubectl("rollout", "status", "--timeout=60s", "statefulset/mongo");
    const watch = `import("mongodb").then(async ({ MongoClient }) => {
      const client = new MongoClient("mongodb://mongo:27017", { serverSelectionTimeoutMS: 5000 });
      const changes = client.db("trial").collection("bots").watch([], { maxAwaitTimeMS: 100 });
      await changes.tryNext();
      await client.db("trial").collection("bots").insertOne({ _id: "one" });
      console.log((await client.db().command({ hello: 1 })).hosts, (await changes.next()).operationType);
      await client.close();
    })`;
    expect(await kubectl("exec", "one", "--", "node", "-e", watch)).to.equal("[ 'mongo.default.svc:27017' ] insert\n");
  });
  it("connects pods with servers on the machine, which see who calls", async () => {
    expect(await reach("one", machine())).to.equal("machine");
    expect(callers).to.deep.equal([await ipOf("one")]);
  });
  it("connects pods with a MongoDB on the machine", async () => {
    const place = { runDir, cacheDir: await openCache(process.env), say: () => undefined };
    const mongo = await startPrivateMongo({ ...place, host: cluster.network.machine });
    const ping = `import("mongodb").then(async ({ MongoClient }) => {
      const client = new MongoClient(${JSON.stringify(mongo.uri)}, { serverSelectionTimeoutMS: 3000 });
      console.log((await client.db("admin").command({ ping: 1 })).ok);
      await client.close();
    })`;
    try {
      expect(await kubectl("exec", "two", "--", "node", "-e", ping)).to.equal("1\n");
    } finally {
      await mongo.stop();
    }
  });
  it("connects pods with the API server", async () => {
    expect(await reach("one", apiService())).to.equal(refusal);
  });
  it("lets the machine reach pods", async () => {
    const reply = await fetch(`http://${await ipOf("one")}:8080/name`);
    expect((await reply.text()).trim()).to.equal("one");
  });
  it("gives logs, and runs commands in pods of both nodes", async () => {
    for (const pod of ["one", "two"]) {
      expect(await kubectl("logs", pod)).to.equal(`this is ${pod}\n`);
      expect(await kubectl("exec", pod, "--", "printenv", "NAME")).to.equal(`${pod}\n`);
    }
  });
  it("cuts a node off from the machine, and nothing else from anything", async () => {
    await cluster.cut("n1", "machine");
    expect(await reach("one", machine())).to.equal(undefined);
    expect(await reach("two", machine())).to.equal("machine");
    expect(await reach("one", apiService())).to.equal(refusal);
    await cluster.heal("n1");
    expect(await reach("one", machine())).to.equal("machine");
  });
  it("cuts a node off from the API server", async () => {
    await cluster.cut("n2", "api");
    const log = await kubectl("--request-timeout=2s", "logs", "two").catch((error: Error) => error.message);
    expect(log).to.match(/Cannot run/);
    // Commands in its pods go through the API server, too: the machine asks it to fetch instead.
    expect((await (await fetch(`http://${await ipOf("two")}:8080/name`)).text()).trim()).to.equal("two");
    expect(await reach("one", apiService())).to.equal(refusal);
    await cluster.heal();
    expect(await until("logs again", 60_000, () => kubectl("logs", "two").catch(() => undefined))).to.equal("this is two\n");
  });
  it("cuts nodes off from each other", async () => {
    await cluster.cut("n1", "nodes");
    expect(await reach("one", `http://${await ipOf("two")}:8080/name`)).to.equal(undefined);
    expect(await reach("one", machine())).to.equal("machine");
    await cluster.heal();
    expect(await reach("one", `http://${await ipOf("two")}:8080/name`)).to.equal("two");
  });
  it("runs containers in a pod's own Docker Engine", async () => {
    await kubectl("wait", "--for=condition=Ready", "--timeout=120s", "pod/engine");
    const inEngine = (script: string) => kubectl("exec", "engine", "-c", "docker", "--", "sh", "-c", script);
    await inEngine("tar -C /shared -c busybox | docker import - nested");
    expect(await inEngine("docker run --rm --network none nested /busybox echo from a bot")).to.equal("from a bot\n");
    const found = await inEngine("docker run --rm nested /busybox nslookup two.default.svc.cluster.local");
    expect(found).to.contain(`Address: ${await serviceIp("two")}\n`);
  });
  it("goes on after a program was killed, and without one that was stopped", async () => {
    await cluster.stop("hub", "kube-apiserver");
    expect(await kubectl("--request-timeout=2s", "get", "nodes").catch((error: Error) => error.message)).to.match(/Cannot run/);
    await cluster.start("hub", "kube-apiserver");
    expect(await until("the API server", 60_000, () => kubectl("get", "--raw", "/readyz").catch(() => undefined))).to.equal("ok");
    await cluster.signal("n1", "kubelet", "KILL");
    expect(await until("logs again", 60_000, () => kubectl("logs", "one").catch(() => undefined))).to.equal("this is one\n");
  });
  apiServer(() => cluster);
  it("is left as it is by a second up", async () => {
    const uids = () => kubectl("get", "nodes,pods", "-o", "jsonpath={.items[*].metadata.uid}");
    const old = await uids();
    expect((await runCommand("up", "--run-dir", runDir)).trim()).to.equal(line);
    expect(await uids()).to.equal(old);
  });
  it("leaves the machine as it found it, pods and all", async () => {
    server.close();
    await runCommand("down", "--run-dir", runDir);
    expect((await differences(asItWas)).join("\n")).to.equal("");
    const status = await runCommand("status", "--run-dir", runDir).catch((error: Error) => error.message);
    expect(status).to.match(/\(3\)/);
  });
});
