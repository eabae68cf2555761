// A MongoDB wire server of our own (PyPI's secantusdb) in a venv in the cache. The kernel kills it when the thread that
// spawned it dies, so a killed run leaves no server behind.
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { MongoClient } from "mongodb";

import { hashFile, type Place } from "./cache.ts";
import { run, until, withRetry } from "./command.ts";
import { installPackages } from "./debian.ts";
import { recordProcess } from "./run-dir.ts";

export interface PrivateMongo {
  readonly uri: string;
  readonly port: number;
  readonly pid: number;
  /** Kills at once when the storage is a throw-away; otherwise SIGTERM, after five seconds SIGKILL. May be called twice. */
  readonly stop: () => Promise<void>;
}

export interface PrivateMongoOptions extends Place {
  /** For example `--standalone` (no change streams), `--auth`, `--enable-test-commands` (configureFailPoint). */
  readonly flags?: readonly string[];
  /** Appended to the URI, such as `&tls=true` and its files for a server that speaks TLS. */
  readonly query?: string;
  /** Where it listens; pods of a test cluster reach the machine's address on their bridge. @default "127.0.0.1" */
  readonly host?: string;
  /** @default a free one */
  readonly port?: number;
  /** A directory to open again, for restarts. @default a new one in the run directory */
  readonly storagePath?: string;
}

const requirements = join(import.meta.dirname, "mongo-requirements.txt");
const modules = "import sys, ensurepip, venv; print(sys.implementation.cache_tag)";

export async function startPrivateMongo(options: PrivateMongoOptions): Promise<PrivateMongo> {
  const server = await installServer(options);
  const host = options.host ?? "127.0.0.1";
  const port = options.port ?? (await freePort(host));
  const name = join(options.runDir, `mongo-${port}`);
  const storage = options.storagePath ?? name;
  await mkdir(storage, { recursive: true });
  // Otherwise the server would read a configuration file from the user's home.
  await writeFile(`${name}.toml`, "");
  const log = openSync(`${name}.log`, "a");
  const args = [
    ["--pdeathsig", "KILL", "--", join(dirname(server), "python"), server, "--config", `${name}.toml`],
    ["--host", host, "--port", String(port), "--storage-path", storage, "--log-level", "WARNING"],
    options.flags ?? [],
  ].flat();
  const child = spawn("setpriv", args, { detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  let over = false;
  const ended = new Promise<true>((done) => {
    const end = () => {
      over = true;
      done(true);
    };
    child.once("error", end);
    child.once("exit", end);
  });
  const stop = async () => {
    child.kill(options.storagePath === undefined ? "SIGKILL" : "SIGTERM");
    if (!(await Promise.race([ended, sleep(5000, false, { ref: false })]))) child.kill("SIGKILL");
    await ended;
  };
  // directConnection: change streams and transactions work, and a proxy in between is not bypassed.
  const uri = `mongodb://${host}:${port}/?directConnection=true${options.query ?? ""}`;
  try {
    await recordProcess(options.runDir, child.pid ?? 0);
    const state = await until("the MongoDB wire server", 30_000, async () => (over ? "ended" : (await pings(uri)) && "up"));
    if (state === "ended") throw new Error("Cannot keep the MongoDB wire server running");
  } catch (cause) {
    await stop();
    const said = await readFile(`${name}.log`, "utf8");
    throw new Error(`Cannot start a MongoDB wire server:\n${said.slice(-2000)}`, { cause });
  }
  return { uri, port, pid: child.pid ?? 0, stop };
}

/** Whether a MongoDB answers at the URI within two seconds. */
export async function pings(uri: string): Promise<true | undefined> {
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 2000, connectTimeoutMS: 2000 });
  try {
    // hello needs no right, so this also works with --auth.
    await client.db("admin").command({ hello: 1 });
    return true;
  } catch {
    return undefined;
  } finally {
    await client.close();
  }
}

/** The path of secantusd-py in a venv that is made once per set of pinned hashes and Python version. */
async function installServer({ cacheDir, say }: Place): Promise<string> {
  const tag = await run("python3", ["-c", modules]).catch(async () => {
    // Debian's python3 comes without the parts that make a venv.
    await installPackages(["python3", "python3-venv"], say);
    return run("python3", ["-c", modules]);
  });
  const dir = join(cacheDir, `mongo-${tag.trim()}-${(await hashFile(requirements)).slice(0, 16)}`);
  const server = join(dir, "bin", "secantusd-py");
  const complete = join(dir, "complete");
  const isComplete = () =>
    stat(complete).then(
      () => true,
      () => false,
    );
  if (await isComplete()) return server;
  say("installing the MongoDB wire server (PyPI secantusdb, pinned by hash) into the cache");
  await withRetry("install the MongoDB wire server", say, () => makeVenv(dir, complete));
  return server;
}

// A venv cannot be moved, so it is made in place, under a lock: two runs may come here at once.
const makeVenv = (dir: string, complete: string): Promise<string> => {
  const script = `[ -e "$2" ] && exit 0; rm -rf "$1"; python3 -m venv "$1" && "$1/bin/python" -m pip install \
    --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r "$3" && touch "$2"`;
  return run("flock", [`${dir}.lock`, "sh", "-c", script, "sh", dir, complete, requirements]);
};

/** A port that nobody listens on now. */
export async function freePort(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, host, done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}
