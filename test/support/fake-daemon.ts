import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import recording from "./engine-replies.json" with { type: "json" };
import type { Reply } from "./record-engine.ts";
import { type Script, scriptedDaemon } from "./scripted-daemon.ts";

const replies: Readonly<Record<string, Reply>> = recording.replies;
type ReplyName = keyof typeof recording.replies;
type Values = Readonly<Record<string, unknown>>;

export type Box = {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly imageId: string;
  state: "created" | "running" | "exited" | "removing";
  exit?: { readonly code: number; readonly flag: boolean };
};
/** What happens to one request. `acts`: the daemon does what it is asked; then the reply is lost, or never comes. */
export type Fault =
  | { readonly kind: "refuse"; readonly status: number; readonly message: string }
  | { readonly kind: "hang-up" | "hang" | "break-body"; readonly acts: boolean };
/** What a container does once it is started. @default it runs, and obeys SIGTERM */
export type Manner = "obeys" | "deaf" | "exits-at-once";
/** A Docker Engine that is all words: its HTTP, its containers' states and its events, with the replies of a real one
 *  (engine-replies.json) and with the faults that a test orders. */
export class FakeDaemon {
  readonly boxes = new Map<string, Box>();
  readonly images = new Map([["bot-runner/demo-bot:1", "sha256:1"]]);
  /** Names of containers, as often as they were started. */
  readonly started: string[] = [];
  /** Names that are reserved for a container that is not there. */
  readonly leaked = new Set<string>();
  /** Method and path of each request, without the version. */
  readonly asked: string[] = [];
  /** API versions that it speaks, as Docker 20.10 does. */
  range = { min: "1.12", max: "1.41" };
  manner: Manner = "obeys";
  /** Events reach nobody, and the streams stay open. */
  isMute = false;
  /** Called within each request that it answers by itself. */
  onRequest: (request: string) => void | Promise<void> = () => {};
  host = "";
  stateDir = "";
  readonly #faults: { readonly of: RegExp; readonly fault: Fault }[] = [];
  readonly #streams = new Set<ServerResponse>();
  readonly #told: { readonly line: string; readonly nano: bigint }[] = [];
  #nano = 1_700_000_000_000_000_000n;
  #dispose: () => Promise<void> = async () => {};

  static async start(): Promise<FakeDaemon> {
    const daemon = new FakeDaemon();
    const answer: Script = (request, response) => void daemon.#answer(request, response);
    const server = await scriptedDaemon(new Proxy({}, { get: () => answer }));
    daemon.host = server.host;
    daemon.stateDir = server.stateDir;
    daemon.#dispose = () => server[Symbol.asyncDispose]();
    return daemon;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#dispose();
  }

  /** The next request that matches meets the fault; several wait in line. */
  fail(of: RegExp, fault: Fault, times = 1): void {
    for (let n = 0; n < times; n++) this.#faults.push({ of, fault });
  }

  /** Every request hangs until `thaw`: a daemon that was stopped. */
  freeze(): void {
    this.fail(/./, { kind: "hang", acts: false }, 10_000);
  }

  thaw(): void {
    this.#faults.length = 0;
  }

  endStreams(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  named(name: string): Box | undefined {
    return [...this.boxes.values()].find((box) => box.name === name);
  }

  /** The container's program ends, or is killed by somebody. */
  end(box: Box, code: number, flag = false): void {
    if (box.state !== "running") return;
    box.state = "exited";
    box.exit = { code, flag };
    this.tell("die", box);
  }

  tell(action: "start" | "die" | "oom" | "destroy", box: Box): void {
    this.#nano += 1n;
    const body = filled(replies[`event-${action}`]?.body, { id: box.id, labels: box.labels, nano: "{nano}" });
    const line = `${JSON.stringify(body).replace('"{nano}"', String(this.#nano))}\n`;
    this.#told.push({ line, nano: this.#nano });
    if (!this.isMute) for (const stream of this.#streams) stream.write(line);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "", "http://engine");
    const [, version, path = ""] = /^(?:\/v([\d.]+))?(\/.*)$/.exec(url.pathname) ?? [];
    const asked = `${request.method} ${path}`;
    this.asked.push(asked);
    const index = this.#faults.findIndex(({ of }) => of.test(asked));
    const fault = index < 0 ? undefined : this.#faults.splice(index, 1)[0]?.fault;
    if (fault?.kind === "refuse") return send(response, { status: fault.status, body: { message: fault.message } });
    if (fault !== undefined && !fault.acts) return ruin(fault.kind, response, { status: 200 });
    if (version !== undefined && order(version) < order(this.range.min))
      return send(response, this.#reply("version-too-old", { asked: version, version: this.range.min }));
    if (version !== undefined && order(version) > order(this.range.max))
      return send(response, this.#reply("version-too-new", { asked: version, version: this.range.max }));
    await this.onRequest(asked);
    if (path === "/events") return this.#stream(url, response);
    const text = Buffer.concat(await request.toArray()).toString();
    const reply = this.#act(request.method ?? "", path, url.searchParams, text === "" ? {} : (JSON.parse(text) as Values));
    if (fault === undefined) send(response, reply);
    else ruin(fault.kind, response, reply);
  }

  #stream(url: URL, response: ServerResponse): void {
    const [seconds, nanos = "0"] = (url.searchParams.get("since") ?? "").split(".");
    const since = seconds === "" ? undefined : BigInt(seconds ?? 0) * 1_000_000_000n + BigInt(nanos);
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    this.#streams.add(response);
    response.on("close", () => this.#streams.delete(response));
    if (!this.isMute && since !== undefined) for (const { line, nano } of this.#told.slice(-256)) if (nano >= since) response.write(line);
  }

  #act(method: string, path: string, query: URLSearchParams, body: Values): Reply {
    const [, kind, target = "", verb = ""] = path.split("/").map(decodeURIComponent);
    if (path === "/_ping") return this.#reply("ping");
    if (path === "/version")
      return this.#reply("version", { Version: recording.engine, ApiVersion: this.range.max, MinAPIVersion: this.range.min });
    if (path === "/info") return this.#reply("info", { ID: "FAKE", ServerVersion: recording.engine });
    if (kind === "networks") return method === "GET" ? { status: 200, body: [] } : this.#reply("network-made");
    if (kind === "images") return this.#image(decodeURIComponent(path.slice("/images/".length)), query);
    if (path === "/containers/json")
      return { status: 200, body: [...this.boxes.values()].filter((box) => matches(box, query)).map((box) => this.#row(box)) };
    if (path === "/containers/create") return this.#create(query.get("name") ?? "", body);
    const box = this.boxes.get(target) ?? this.named(target);
    if (verb === "json") return box === undefined ? this.#reply("inspect-missing", { name: target }) : this.#inspected(box);
    if (verb === "start") return this.#start(box, target);
    if (verb === "stop") return this.#stop(box, target);
    if (verb === "kill") return this.#kill(box, target);
    if (verb === "logs") return { status: 200 };
    if (method === "DELETE") return this.#remove(box, target);
    throw new RangeError(`Cannot answer "${method} ${path}"`);
  }

  #image(name: string, query: URLSearchParams): Reply {
    if (name === "create") {
      this.images.set(`${query.get("fromImage")}:${query.get("tag")}`, "sha256:2");
      return { status: 200, body: { status: "done" } };
    }
    const imageId = this.images.get(name.replace(/\/json$/, ""));
    return imageId === undefined ? this.#reply("image-missing") : this.#reply("image", { imageId });
  }

  #create(name: string, { Image, Labels }: Values): Reply {
    const holder = this.named(name);
    if (holder !== undefined || this.leaked.has(name)) return this.#reply("create-name-taken", { name, id: holder?.id ?? "0".repeat(64) });
    const imageId = this.images.get(String(Image));
    if (imageId === undefined) return this.#reply("create-image-missing");
    const id = randomBytes(32).toString("hex");
    this.boxes.set(id, { id, name, labels: Labels as Box["labels"], imageId, state: "created" });
    return this.#reply("create", { id });
  }

  #start(box: Box | undefined, name: string): Reply {
    if (box === undefined) return this.#reply("start-missing", { name });
    if (box.state === "running") return this.#reply("start-running");
    if (box.state === "removing") return { status: 409, body: { message: "container is marked for removal and cannot be started" } };
    box.state = "running";
    this.started.push(box.name);
    this.tell("start", box);
    if (this.manner === "exits-at-once") this.end(box, 0);
    return this.#reply("started");
  }

  /** Its grace is over in no time: that is the real engine's affair. */
  #stop(box: Box | undefined, name: string): Reply {
    if (box === undefined) return this.#reply("stop-missing", { name });
    if (box.state !== "running") return this.#reply("stop-not-running");
    this.end(box, this.manner === "deaf" ? 137 : 143);
    return this.#reply("stopped");
  }

  #kill(box: Box | undefined, name: string): Reply {
    if (box === undefined) return this.#reply("kill-missing", { name });
    if (box.state !== "running") return this.#reply("kill-not-running", { id: box.id });
    this.end(box, 137);
    return this.#reply("killed");
  }

  #remove(box: Box | undefined, name: string): Reply {
    if (box === undefined) return this.#reply("remove-missing", { name });
    if (box.state === "removing") return this.#reply("remove-under-way", { id: box.id });
    this.end(box, 137);
    this.boxes.delete(box.id);
    this.tell("destroy", box);
    return this.#reply("removed");
  }

  #inspected(box: Box): Reply {
    const as = { created: "inspect-created", running: "inspect-running", exited: "inspect-exited", removing: "inspect-exited" } as const;
    const reply = this.#reply(as[box.state], { ...box, date: new Date().toISOString() });
    const body = reply.body as { State: object };
    const exit = box.exit && { ExitCode: box.exit.code, OOMKilled: box.exit.flag };
    return { ...reply, body: { ...body, State: { ...body.State, ...exit, ...(box.state === "removing" && { Status: "removing" }) } } };
  }

  #row(box: Box): unknown {
    const { body } = this.#reply("list", box);
    return { ...(body as object[])[0], State: box.state };
  }

  #reply(name: ReplyName, values: Values = {}): Reply {
    const { status, body } = replies[name] ?? { status: 500 };
    return { status, ...(body !== undefined && { body: filled(body, values) }) };
  }
}

const order = (version: string): number => Number(version.split(".")[0]) * 1_000 + Number(version.split(".")[1]);

function matches(box: Box, query: URLSearchParams): boolean {
  const { label = [], name = [] } = JSON.parse(query.get("filters") ?? "{}") as { label?: string[]; name?: string[] };
  const hasLabel = label.every((text) => box.labels[text.slice(0, text.indexOf("="))] === text.slice(text.indexOf("=") + 1));
  return hasLabel && (name.length === 0 || name.some((part) => box.name.includes(part)));
}

/** A placeholder that is the whole text becomes the value itself; within a text it becomes text. */
function filled(value: unknown, values: Values): unknown {
  if (Array.isArray(value)) return value.map((item) => filled(item, values));
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, filled(inner, values)]));
  if (typeof value !== "string") return value;
  const [, whole = ""] = /^\{(\w+)\}$/.exec(value) ?? [];
  if (whole in values) return values[whole];
  return Object.entries(values).reduce((text, [key, part]) => text.replaceAll(`{${key}}`, String(part)), value);
}

function send(response: ServerResponse, { status, body }: Reply): void {
  if (body === undefined) response.writeHead(status).end();
  else if (typeof body === "string") response.writeHead(status, { "content-type": "text/plain" }).end(body);
  else response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function ruin(kind: "hang-up" | "hang" | "break-body", response: ServerResponse, { status, body }: Reply): void {
  if (kind === "hang") return;
  if (kind === "hang-up") return void response.socket?.destroy();
  response.writeHead(status, { "content-type": "application/json" });
  response.write(JSON.stringify(body ?? {}).slice(0, 2), () => response.destroy());
}
