import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import Docker from "dockerode";
import { EngineUnreachableError, ImageUnavailableError } from "../../src/core/errors.ts";
import { containerName } from "../../src/core/ids.ts";
import { createEngine } from "../../src/docker/engine.ts";
import { systemClock } from "../../src/process/clock.ts";
import { bot } from "../support/builders.ts";
import { engineContract, eventually, exited, order, ours, refusedWith, rejection, sweep } from "./engine.suite.ts";

const dockerHost = process.env["DOCKER_HOST"];
const IMAGE = "bot-runner/demo-bot:1";
const NETWORK = `botrunner-contract-${process.pid}`;
const STRANGER = `contract.stranger.${process.pid}`;

/** Sockets this process holds, by kind: what a closed engine leaves behind would show here. */
const sockets = (): number => process.getActiveResourcesInfo().filter((kind) => /^(Pipe|TCPSocket)Wrap$|ConnectWrap$/.test(kind)).length;

(dockerHost === undefined ? describe.skip : describe)("Engine contract: a real Docker Engine", function () {
  this.timeout(60_000);
  /** A second way to the same daemon: it sees what the first one did, and plays the stranger. */
  const bare = new Docker();
  let stateDir: string;
  let engine: ReturnType<typeof createEngine>;
  let held: number;

  before(async () => {
    held = sockets();
    stateDir = await mkdtemp(join(tmpdir(), "engine-contract-"));
    engine = createEngine({ dockerHost, stateDir, clock: systemClock, random: Math.random, network: NETWORK });
  });

  after(async () => {
    try {
      await sweep(engine);
      const strangers = await bare.listContainers({ all: true, filters: { label: [STRANGER] } });
      await Promise.all(strangers.map(({ Id }) => bare.getContainer(Id).remove({ force: true, v: true })));
      const networks = await bare.listNetworks({ filters: { name: [NETWORK] } });
      await Promise.all(networks.map(({ Id }) => bare.getNetwork(Id).remove()));
    } finally {
      engine.close();
      await rm(stateDir, { recursive: true, force: true });
    }
    await eventually("all sockets closed", async () => (sockets() <= held ? true : undefined));
  });

  engineContract(() => ({
    engine,
    occupy: async (id) => {
      await bare.createContainer({ name: containerName(id), Image: IMAGE, Cmd: ["true"], Labels: { [STRANGER]: "1" } });
    },
  }));

  const run = async (id: string, script: string, over: Parameters<typeof order>[2] = {}) => {
    const container = await engine.create(order(id, script, over));
    await engine.start(container);
    return container;
  };

  it("hardens what it makes", async () => {
    const id = await run("hard", "exec sleep 600", {
      resources: { memoryBytes: 64 << 20, pids: 32, nanoCpus: 5e8 },
      security: { readOnlyRootFilesystem: true, user: "1000:1000", capabilities: ["CHOWN"] },
    });
    const { Config, HostConfig, NetworkSettings } = await bare.getContainer(id).inspect();
    const {
      CapDrop,
      CapAdd,
      SecurityOpt,
      Init,
      PidsLimit,
      Memory,
      NanoCpus,
      OomScoreAdj,
      ReadonlyRootfs,
      Privileged,
      IpcMode,
      ShmSize,
      RestartPolicy,
      AutoRemove,
      NetworkMode,
      LogConfig,
    } = HostConfig;
    expect({
      CapDrop,
      SecurityOpt,
      Init,
      PidsLimit,
      Memory,
      NanoCpus,
      OomScoreAdj,
      ReadonlyRootfs,
      Privileged,
      IpcMode,
      ShmSize,
      AutoRemove,
      NetworkMode,
    }).to.deep.equal({
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      Init: true,
      PidsLimit: 32,
      Memory: 64 << 20,
      NanoCpus: 5e8,
      OomScoreAdj: 500,
      ReadonlyRootfs: true,
      Privileged: false,
      IpcMode: "private",
      ShmSize: 16 << 20,
      AutoRemove: false,
      NetworkMode: NETWORK,
    });
    expect(CapAdd).to.have.lengthOf(1);
    expect([RestartPolicy?.Name, LogConfig?.Type, Config.User]).to.deep.equal(["no", "local", "1000:1000"]);
    expect(Object.values(NetworkSettings.Ports)).to.deep.equal([]);
  });

  it("lets a bot see no more than it must", async () => {
    const looks = {
      "no capabilities but those asked for": { script: "grep CapBnd /proc/self/status", gives: "CapBnd:\t0000000000000001\n" },
      "no new privileges": { script: "grep NoNewPrivs /proc/self/status", gives: "NoNewPrivs:\t1\n" },
      "nothing in /tmp can be run": {
        script: "printf '#!/bin/sh\\necho ran' >/tmp/x; chmod +x /tmp/x; /tmp/x 2>/dev/null || echo refused",
        gives: "refused\n",
      },
      "few files, no core": { script: "ulimit -n; ulimit -c", gives: "4096\n0\n" },
      "an init as process 1": { script: "ps | grep -c '^ *1 .*init'", gives: "1\n" },
      "its name as host name": { script: "hostname", gives: "inside\n" },
    };
    const script = Object.values(looks).map((look) => `${look.script}; echo --`);
    const id = await run("inside", script.join("\n"), { security: { readOnlyRootFilesystem: false, capabilities: ["CHOWN"] } });
    await exited(engine, "inside");
    const seen = (await engine.logTail(id, 10_000)).split("--\n");
    for (const [n, [why, { gives }]] of Object.entries(looks).entries()) expect(seen[n], why).to.equal(gives);
  });

  it("hands the config over as a read-only file, for any user, and removes it with the container", async () => {
    const script =
      'cat /etc/bot/config.json; echo; echo x 2>/dev/null >/etc/bot/config.json || echo refused; echo "$BOT_CONFIG"; echo "$BOT_ID $BOT_SEGMENT $BOT_EPOCH $OWN"';
    for (const user of ["0:0", "4711:4711"]) {
      const id = await run("konfig-ü", script, {
        config: { text: "ü \n '" },
        env: { OWN: "mine" },
        security: { readOnlyRootFilesystem: false, user, capabilities: [] },
      });
      const container = await exited(engine, "konfig-ü");
      const json = String.raw`{"text":"ü \n '"}`;
      expect(await engine.logTail(id, 1_000)).to.equal(`${json}\nrefused\n${json}\nkonfig-ü 3 1700000000 mine\n`);
      const [file = ""] = await readdir(join(stateDir, "configs"));
      expect((await stat(join(stateDir, "configs", file))).mode & 0o777).to.equal(0o444);
      expect((await stat(join(stateDir, "configs"))).mode & 0o777).to.equal(0o700);
      await engine.remove(container);
      expect(await readdir(join(stateDir, "configs"))).to.deep.equal([]);
    }
  });

  it("hands a config of 1 MiB over, too large for the environment", async () => {
    const id = await run("large", 'wc -c </etc/bot/config.json; echo "[$BOT_CONFIG]"', { config: "x".repeat(1 << 20) });
    await exited(engine, "large");
    expect(await engine.logTail(id, 1_000)).to.equal(`${(1 << 20) + 2}\n[]\n`);
  });

  it("keeps no config file of a container that was refused", async () => {
    await refusedWith(404, engine.create(order("refused", "true", { image: "bot-runner/none:1", config: {} })));
    expect(await readdir(join(stateDir, "configs"))).to.deep.equal([]);
  });

  it("ends a run whose program does not exist, and its log says which", async () => {
    const made = order("lost", "");
    const id = await engine.create({ ...made, spec: { ...made.spec, command: ["/no/such/program"] } });
    await engine.start(id); // the init process does start
    expect((await exited(engine, "lost")).exit?.code).to.equal(127);
    expect(await engine.logTail(id, 1_000)).to.contain("/no/such/program");
  });

  it("keeps bots from reaching each other", async () => {
    const server = await run("server", "while :; do echo hello | nc -l -p 9000; done");
    const { NetworkSettings } = await bare.getContainer(server).inspect();
    const address = NetworkSettings.Networks[NETWORK]?.IPAddress ?? "";
    // The server reaches itself, so a silence is the wall and not a server that is not there.
    const itself = await bare
      .getContainer(server)
      .exec({ Cmd: ["sh", "-c", `until nc -w 1 ${address} 9000 </dev/null; do sleep 0.1; done`], AttachStdout: true });
    const stream = await itself.start({});
    expect((await stream.toArray()).join("")).to.contain("hello");
    const client = await run("client", `nc -w 1 ${address} 9000 </dev/null || echo silence`);
    await exited(engine, "client");
    expect(await engine.logTail(client, 1_000)).to.contain("silence");
  });

  it("makes its network again when somebody has removed it, before a create or a start", async () => {
    await sweep(engine);
    const first = await engine.create(order("netless", "exec sleep 600"));
    await bare.getNetwork(NETWORK).remove();
    await engine.start(first);
    expect(ours(await engine.inspect(bot("netless"))).state).to.equal("running");
    await sweep(engine);
    await bare.getNetwork(NETWORK).remove();
    await run("netless", "exec sleep 600");
    const { Options, Labels } = await bare.getNetwork(NETWORK).inspect();
    expect([Options?.["com.docker.network.bridge.enable_icc"], Labels?.["botrunner.managed"]]).to.deep.equal(["false", "1"]);
  });

  it("makes one network for many at a time", async () => {
    await sweep(engine);
    await bare.getNetwork(NETWORK).remove();
    const others = [1, 2, 3].map(() => createEngine({ dockerHost, stateDir, clock: systemClock, random: Math.random, network: NETWORK }));
    await Promise.all(others.map((other, i) => other.create(order(`many-${i}`, "true"))));
    for (const other of others) other.close();
    const named = (await bare.listNetworks()).filter(({ Name }) => Name === NETWORK);
    expect(named).to.have.lengthOf(1);
  });

  for (const { why, image, permanent } of [
    { why: "a registry that cannot be reached passes", image: "127.0.0.1:9/bot:1", permanent: false },
    { why: "a name that makes no sense stays wrong", image: "NO/such:1", permanent: true },
  ]) {
    it(`tells faults that pass from faults that stay: ${why}`, async () => {
      const error = await rejection(engine.ensureImage(image, "if-not-present", new AbortController().signal));
      expect(error).to.be.instanceOf(ImageUnavailableError);
      expect((error as ImageUnavailableError).permanent).to.equal(permanent);
    });
  }

  it("says that nobody is there, and that it was closed", async () => {
    const nobody = createEngine({ dockerHost: `unix://${stateDir}/none.sock`, stateDir, clock: systemClock, random: Math.random });
    expect(await rejection(nobody.ping())).to.be.instanceOf(EngineUnreachableError);
    nobody.close();
    expect(await rejection(nobody.list())).to.be.instanceOf(EngineUnreachableError);
  });

  it("ends a watch and breaks off calls when it is closed", async () => {
    // What an earlier suite left may have been open still when this one began.
    const before = Math.min(held, sockets());
    const other = createEngine({ dockerHost, stateDir, clock: systemClock, random: Math.random });
    const over = new AbortController();
    const { promise: connected, resolve } = Promise.withResolvers<void>();
    const watching = other.watch(() => resolve(), over.signal);
    try {
      await connected;
      const id = await run("deaf", "trap '' TERM; while :; do sleep 1; done");
      const stopping = rejection(other.stop(id, 60));
      await eventually("the stop under way", async () => (sockets() > before + 1 ? true : undefined));
      other.close();
      expect(await stopping).to.be.instanceOf(EngineUnreachableError);
    } finally {
      other.close();
      over.abort();
      await watching;
    }
    expect(ours(await engine.inspect(bot("deaf"))).state).to.equal("running");
  });
});
