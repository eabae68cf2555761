// What a real Docker Engine answers to the calls that we make, reduced to what our code reads of it. Run as a program
// with DOCKER_HOST it writes engine-replies.json: the fake daemon answers with that, and a contract test takes it again.
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { parseDockerHost } from "../../src/docker/address.ts";
import { EVENT_NAMES } from "../../src/docker/event-watch.ts";

export type Reply = { readonly status: number; readonly body?: unknown };
export type Recording = { readonly engine: string; readonly replies: Readonly<Record<string, Reply>> };

const IMAGE = "bot-runner/demo-bot:1";
const LABEL = "botrunner.recorder";
const STATE = { State: ["Status", "Running", "ExitCode", "OOMKilled", "Error", "StartedAt", "FinishedAt"] };
const INSPECTED = { ...STATE, Id: true, Image: true, Config: ["Labels"] } as const;
type Keys = true | readonly string[] | { readonly [key: string]: Keys };

/** Makes every kind of call on a container and a network of its own, and removes them. */
export async function recordEngine(dockerHost: string): Promise<Recording> {
  const name = `recorder-${process.pid}`;
  try {
    return await record(dockerHost, name);
  } finally {
    for (const path of [`/containers/${name}?force=1&v=1`, `/networks/${name}`]) (await send(dockerHost, "DELETE", path)).resume();
  }
}

async function record(dockerHost: string, name: string): Promise<Recording> {
  const ids = new Map<string, string>([[name, "{name}"]]);
  const replies: Record<string, Reply> = {};
  const ask = async (method: string, path: string, body?: object): Promise<Reply> => {
    const response = await send(dockerHost, method, path, body);
    const text = Buffer.concat(await response.toArray()).toString();
    return {
      status: response.statusCode ?? 0,
      ...(text !== "" && { body: text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : text }),
    };
  };
  const take = async (as: string, keys: Keys, method: string, path: string, body?: object): Promise<Reply> => {
    const reply = await ask(method, path, body);
    replies[as] = { status: reply.status, ...(reply.body !== undefined && { body: templated(reduced(reply.body, keys), ids) }) };
    return reply;
  };
  const create = async (script: string, as = "create", over: object = {}): Promise<string> => {
    const body = {
      Image: IMAGE,
      Cmd: ["sh", "-c", script],
      Labels: { [LABEL]: "1" },
      HostConfig: { Memory: 16 << 20, MemorySwap: 16 << 20, ...over },
    };
    const { body: made } = await take(as, ["Id"], "POST", `/containers/create?name=${name}`, body);
    const { Id } = made as { Id: string };
    ids.set(Id, "{id}");
    replies[as] = { status: 201, body: { Id: "{id}" } };
    return Id;
  };
  const drop = (id: string, as = "removed") => take(as, ["message"], "DELETE", `/containers/${id}?force=1&v=1`);
  const ended = (id: string) => ask("POST", `/containers/${id}/wait`);

  const { body: version } = await take("version", ["Version", "ApiVersion", "MinAPIVersion"], "GET", "/version");
  await take("info", ["ID", "ServerVersion"], "GET", "/info");
  await take("ping", true, "GET", "/_ping");
  await take("version-too-new", ["message"], "GET", "/v9.99/containers/json");
  await take("version-too-old", ["message"], "GET", "/v1.1/containers/json");
  await take("image", ["Id", "RepoTags", "RepoDigests"], "GET", `/images/${IMAGE.replace("/", "%2F")}/json`);
  await take("image-missing", ["message"], "GET", "/images/none/json");
  await take("create-image-missing", ["message"], "POST", `/containers/create?name=${name}`, { Image: "none" });
  await take("inspect-missing", ["message"], "GET", `/containers/${name}/json`);
  await take("start-missing", ["message"], "POST", `/containers/${name}/start`);
  await take("stop-missing", ["message"], "POST", `/containers/${name}/stop?t=1`);
  await take("kill-missing", ["message"], "POST", `/containers/${name}/kill?signal=KILL`);
  await drop(name, "remove-missing");

  await take("pull-unreachable", ["message"], "POST", "/images/create?fromImage=127.0.0.1:9/x&tag=1");
  const network = { Name: name, Driver: "bridge", CheckDuplicate: true, Labels: { [LABEL]: "1" } };
  await take("network-made", true, "POST", "/networks/create", network).then(({ body }) => ids.set((body as { Id: string }).Id, "{id}"));
  replies["network-made"] = { status: 201 };
  await take("network-exists", ["message"], "POST", "/networks/create", network);
  const named = encodeURIComponent(JSON.stringify({ name: [name] }));
  await take("networks", ["Id", "Name", "Created", "Labels"], "GET", `/networks?filters=${named}`);

  const filters = JSON.stringify({ type: ["container"], label: [`${LABEL}=1`], event: EVENT_NAMES });
  const stream = await send(dockerHost, "GET", `/events?filters=${encodeURIComponent(filters)}`);
  const events = readEvents(stream);

  const idle = await create("trap 'exit 143' TERM; echo trapped; while :; do sleep 0.1; done");
  await take("inspect-created", INSPECTED, "GET", `/containers/${name}/json`);
  await take("create-name-taken", ["message"], "POST", `/containers/create?name=${name}`, { Image: IMAGE });
  await take("kill-not-running", ["message"], "POST", `/containers/${idle}/kill?signal=KILL`);
  await take("started", true, "POST", `/containers/${idle}/start`);
  await take("start-running", true, "POST", `/containers/${idle}/start`);
  await take("inspect-running", INSPECTED, "GET", `/containers/${name}/json`);
  const rows = encodeURIComponent(JSON.stringify({ label: [`${LABEL}=1`] }));
  await take("list", ["Id", "Names", "ImageID", "State", "Labels"], "GET", `/containers/json?all=1&filters=${rows}`);
  await heard(dockerHost, idle);
  await take("stopped", true, "POST", `/containers/${idle}/stop?t=5`);
  await take("inspect-exited", INSPECTED, "GET", `/containers/${name}/json`);
  await take("stop-not-running", true, "POST", `/containers/${idle}/stop?t=5`);
  await drop(idle);

  const killed = await create("sleep 600", "create", { Init: true });
  await ask("POST", `/containers/${killed}/start`);
  await take("killed", true, "POST", `/containers/${killed}/kill?signal=KILL`);
  await ended(killed);
  await take("inspect-killed", INSPECTED, "GET", `/containers/${name}/json`);
  await drop(killed);

  const glutton = await create("exec tail /dev/zero");
  await ask("POST", `/containers/${glutton}/start`);
  await ended(glutton);
  await take("inspect-oom", INSPECTED, "GET", `/containers/${name}/json`);
  await drop(glutton);

  const twice = await create("sleep 600");
  await ask("POST", `/containers/${twice}/start`);
  const drops = await Promise.all([1, 2, 3].map((n) => drop(twice, `drop-${n}`).then(() => `drop-${n}`)));
  const refused = drops.map((as) => replies[as]).find((reply) => reply?.status === 409);
  for (const as of drops) delete replies[as];
  if (refused !== undefined) replies["remove-under-way"] = refused;
  while (!["start", "die", "oom", "destroy"].every((action) => events.seen.has(action))) await events.next();
  stream.destroy();
  for (const [action, event] of events.seen) replies[`event-${action}`] = { status: 200, body: templated(event, ids) };
  return { engine: (version as { Version: string }).Version, replies };
}

async function send(dockerHost: string, method: string, path: string, body?: object): Promise<IncomingMessage> {
  const outgoing = httpRequest({ ...parseDockerHost(dockerHost), method, path, headers: { "content-type": "application/json" } });
  outgoing.end(body && JSON.stringify(body));
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  return response;
}

/** Waits for a container's first word: a SIGTERM before its trap is set would not end it. */
async function heard(dockerHost: string, id: string): Promise<void> {
  const log = await send(dockerHost, "GET", `/containers/${id}/logs?follow=1&stdout=1`);
  await once(log, "data");
  log.destroy();
}

function readEvents(stream: IncomingMessage) {
  const seen = new Map<string, unknown>();
  let rest = "";
  stream.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const { Action, Actor, timeNano } = JSON.parse(line) as {
        Action: string;
        Actor: { ID: string; Attributes: object };
        timeNano: number;
      };
      seen.set(Action, { Action, Actor: { ID: Actor.ID, Attributes: LABEL in Actor.Attributes ? "{labels}" : {} }, timeNano });
    }
  });
  stream.on("error", () => {});
  return { seen, next: () => once(stream, "data") };
}

function reduced(value: unknown, keys: Keys): unknown {
  if (keys === true || value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((item) => reduced(item, keys));
  const wanted: readonly (readonly [string, Keys])[] = Array.isArray(keys)
    ? (keys as readonly string[]).map((key) => [key, true] as const)
    : Object.entries(keys);
  return Object.fromEntries(wanted.map(([key, inner]) => [key, reduced((value as Record<string, unknown>)[key], inner)]));
}

/** What differs from one container, moment or engine to the next, by its kind. */
function templated(value: unknown, ids: ReadonlyMap<string, string>, key = ""): unknown {
  if (key === "Labels") return "{labels}";
  if (key === "timeNano") return typeof value === "number" ? "{nano}" : value;
  if (key === "Image" || key === "ImageID") return "{imageId}";
  if (["Version", "ServerVersion", "ApiVersion", "MinAPIVersion", "ID"].includes(key) && !ids.has(String(value))) return `{${key}}`;
  if (key === "RepoTags" || key === "RepoDigests") return [];
  if (Array.isArray(value)) return value.map((item) => templated(item, ids));
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([k, inner]) => [k, templated(inner, ids, k)]));
  if (typeof value !== "string") return value;
  if (/^2\d{3}-\d\d-\d\dT/.test(value)) return "{date}";
  if (key === "Id" && value.startsWith("sha256:")) return "{imageId}";
  const text = [...ids].reduce((left, [real, placeholder]) => left.replaceAll(real, placeholder), value);
  return text
    .replaceAll(/API version is \d+\.\d+/g, "API version is {version}")
    .replace(/^client version [\d.]+/, "client version {asked}");
}

if (process.argv[1] === import.meta.filename) {
  const recording = await recordEngine(process.env["DOCKER_HOST"] ?? "");
  await writeFile(new URL("engine-replies.json", import.meta.url), `${JSON.stringify(recording, null, 2)}\n`);
}
