import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import Docker from "dockerode";
import { BOT_IMAGE, ensureBotImage } from "../../scripts/lib/bot-image.ts";
import { openCache } from "../../scripts/lib/cache.ts";
import { fetchPackageFile, findProgram, installPackages } from "../../scripts/lib/debian.ts";
import { removeCgroup } from "../../scripts/lib/run-dir.ts";
import { eventually } from "../support/eventually.ts";
import { Fenced } from "../support/fenced.ts";

const ALLOWED = "10.99.0.1";
const DENIED = "10.88.0.1";
const METADATA = "169.254.169.254";
/** As a node-local DNS cache has it: inside what is forbidden. */
const RESOLVER = "169.254.20.10";
const ANSWER = "10.1.2.3";

/** Answers every question with one A record. */
const DNS_SERVER = `
const socket = require("node:dgram").createSocket("udp4");
socket.on("message", (q, from) => {
  const end = q.indexOf(0, 12) + 5;
  const isA = q.readUInt16BE(end - 4) === 1;
  const head = Buffer.from([q[0], q[1], 0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0]);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, ${ANSWER.split(".").join(", ")}]);
  socket.send(Buffer.concat([head, q.subarray(12, end), ...(isA ? [record] : [])]), from.port, from.address);
});
socket.bind(53, "${RESOLVER}");`;

describe("chart/files/fence.sh: what bots may not reach", function () {
  let dir: string;
  let fenced: Fenced;
  let docker: Docker;
  let cgroup: string;
  const servers: ChildProcess[] = [];
  let lease: NodeJS.Timeout;

  before(async function () {
    this.timeout(120_000);
    const dockerd = await findProgram("dockerd");
    if (process.getuid?.() !== 0 || dockerd === undefined) return this.skip();
    if ((await findProgram("ip")) === undefined) await installPackages(["iproute2"], () => {});
    dir = await mkdtemp("/tmp/br-deny-");
    cgroup = dir.slice("/tmp/".length);
    await mkdir(join(dir, "www"));
    await writeFile(join(dir, "www", "index.html"), "hello\n");
    await writeFile(join(dir, "resolv.conf"), `nameserver ${RESOLVER}\n`);
    await mkdir(join(dir, "etc"));
    const addresses = [ALLOWED, DENIED, METADATA, RESOLVER].map((a) => `ip addr add ${a}/32 dev lo`).join("\n");
    fenced = await Fenced.start({
      before: [
        addresses,
        `mount --bind ${dir}/resolv.conf /etc/resolv.conf`,
        `[ ! -d /etc/docker ] || mount --bind ${dir}/etc /etc/docker`,
        "[ ! -d /run/containerd ] || mount -t tmpfs none /run/containerd",
      ].join("\n"),
      env: { BOT_DENY_CIDRS: "10.88.0.0/16, fd12::/16", BOT_DENY_PORTS: "8080" },
      command: [
        [dockerd, "--config-file", join(dir, "none.json"), "--data-root", join(dir, "data"), "--exec-root", join(dir, "exec")],
        ["--pidfile", join(dir, "docker.pid"), "-H", `unix://${dir}/docker.sock`, "--userland-proxy=false", "--icc=false"],
        ["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", `/${cgroup}`],
      ].flat(),
    });
    await writeFile(join(dir, "none.json"), "{}");
    fenced.allow(30_000);
    lease = setInterval(() => fenced.allow(30_000), 5_000);
    docker = new Docker({ socketPath: join(dir, "docker.sock") });
    await eventually(
      "dockerd answers",
      () =>
        docker.ping().then(
          () => true,
          () => undefined,
        ),
      60_000,
      async () => fenced.output.join("").slice(-2_000),
    );
    const cacheDir = await openCache(process.env);
    await ensureBotImage(`unix://${dir}/docker.sock`, cacheDir, () => {});
    await docker.createNetwork({ Name: "bots", Driver: "bridge", Options: { "com.docker.network.bridge.enable_icc": "false" } });
    const busybox = await fetchPackageFile({ cacheDir, say: () => {} }, "busybox-static", "bin/busybox");
    for (const port of [80, 8080]) serve([busybox, "httpd", "-f", "-p", String(port), "-h", join(dir, "www")]);
    serve([process.execPath, "-e", DNS_SERVER]);
  });

  after(async function () {
    this.timeout(60_000);
    clearInterval(lease);
    for (const server of servers) server.kill("SIGKILL");
    await fenced?.[Symbol.asyncDispose]();
    if (cgroup !== undefined) await removeCgroup(cgroup);
    if (dir !== undefined) await rm(dir, { recursive: true, force: true });
  });

  /** A server in the network of the pod, and not behind the fence. */
  function serve(command: readonly string[]): void {
    void fenced.pid().then((pid) => servers.push(spawn("nsenter", ["-t", String(pid), "-n", ...command], { stdio: "ignore" })));
  }

  /** Runs a line of shell in a bot; gives what it printed and whether it succeeded. */
  async function inBot(line: string): Promise<{ readonly ok: boolean; readonly text: string }> {
    const container = await docker.createContainer({
      Image: BOT_IMAGE,
      Cmd: ["sh", "-c", `${line} 2>&1`],
      HostConfig: { NetworkMode: "bots" },
    });
    await container.start();
    const { StatusCode } = (await container.wait()) as { readonly StatusCode: number };
    const text = (await container.logs({ stdout: true, stderr: true })).toString();
    await container.remove({ force: true });
    return { ok: StatusCode === 0, text };
  }
  // A request by hand: a static glibc program that looks up even a number of dots may fall over its missing libraries.
  const get = (address: string, port = 80): string => `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${address} ${port} | grep hello`;

  it("reaches what is not forbidden, so that the other cases mean something", async function () {
    this.timeout(60_000);
    await eventually(
      "the server answers",
      async () => (await inBot(get(ALLOWED))).ok || undefined,
      6_000,
      async () => (await inBot(get(ALLOWED))).text,
    );
  });

  for (const { what, address, port } of [
    { what: "link-local addresses, where clouds keep credentials", address: METADATA, port: 80 },
    { what: "networks that the operator denies", address: DENIED, port: 80 },
    { what: "the pod's own ports", address: ALLOWED, port: 8080 },
    { what: "a resolver's other ports", address: RESOLVER, port: 80 },
  ])
    it(`does not reach ${what}`, async function () {
      this.timeout(60_000);
      expect(await inBot(get(address, port))).to.include({ ok: false });
    });

  it("looks names up, also at a resolver on a link-local address", async function () {
    this.timeout(60_000);
    const seen = await inBot("nslookup example.test");
    expect(seen.text).to.include(ANSWER);
  });

  it("keeps to that after the engine was started again", async function () {
    this.timeout(60_000);
    for (const { pid, name } of await fenced.processes()) if (name === "dockerd") process.kill(pid, "SIGKILL");
    await eventually(
      "dockerd answers again",
      () =>
        docker.ping().then(
          () => true,
          () => undefined,
        ),
      60_000,
    );
    expect((await inBot(get(METADATA))).ok).to.equal(false);
    expect((await inBot(get(ALLOWED))).ok).to.equal(true);
  });
});
