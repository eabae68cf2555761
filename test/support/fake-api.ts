import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Access } from "../../src/kubernetes/access.ts";
import type { RawObject } from "../../src/kubernetes/objects.ts";

type Stored = { metadata: { name: string; uid: string; resourceVersion: string; [key: string]: unknown }; [key: string]: unknown };
type Stream = { readonly resource: string; readonly query: URLSearchParams; readonly response: ServerResponse };
type Fault =
  | { readonly kind: "status"; readonly status: number; readonly body?: object; readonly headers?: Record<string, string> }
  | { readonly kind: "hang" | "stall" | "cut" | "lose" };
export type Asked = {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly headers: IncomingMessage["headers"];
};

const KINDS: Readonly<Record<string, string>> = {
  leases: "Lease",
  deployments: "Deployment",
  pods: "Pod",
  configmaps: "ConfigMap",
  events: "Event",
};

/** A scripted API server over HTTP: collections with versions, watches with bookmarks, and faults on demand. Replies have the
 *  form of a real one's; the contract suites run over both. */
export class FakeApi {
  readonly asked: Asked[] = [];
  readonly #objects = new Map<string, Stored>();
  readonly #log: { readonly version: number; readonly resource: string; readonly type: string; readonly object: Stored }[] = [];
  readonly #streams = new Set<Stream>();
  readonly #held = new Set<ServerResponse>();
  readonly #faults: { readonly match: RegExp; readonly fault: Fault }[] = [];
  #version = 100;
  #oldest = 0;
  #server: Server | undefined;

  async start(port = 0): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  }

  get port(): number {
    const address = this.#server?.address() as AddressInfo | undefined;
    return address?.port ?? 0;
  }

  get access(): Access {
    return { server: `http://127.0.0.1:${this.port}`, namespace: "ns", isUnverified: false, headers: {} };
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  /** Stops listening and breaks every connection; the objects stay. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#streams.clear();
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  }

  /** The next request whose "METHOD path" matches meets the fault: `hang` never answers, `stall` stops in the middle of its answer, `cut` breaks the connection before
   *  anything is done, `lose` does it and then breaks. */
  failNext(match: RegExp, fault: Fault, times = 1): void {
    for (let i = 0; i < times; i++) this.#faults.push({ match, fault });
  }

  /** Puts an object there as somebody else would. */
  put(resource: string, object: RawObject): RawObject {
    const key = `${resource}/${object.metadata?.name}`;
    return this.#store(this.#objects.has(key) ? "MODIFIED" : "ADDED", resource, object);
  }

  get(resource: string, name: string): Stored | undefined {
    return this.#objects.get(`${resource}/${name}`);
  }

  remove(resource: string, name: string): void {
    const object = this.#objects.get(`${resource}/${name}`);
    if (object === undefined) return;
    this.#objects.delete(`${resource}/${name}`);
    this.#tell("DELETED", resource, { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } });
  }

  /** Every watch from an older version gets 410, and open ones are told so. */
  compact(): void {
    this.#oldest = ++this.#version;
    for (const { response } of this.#streams) {
      response.end(line({ type: "ERROR", object: status(410, "Expired", "too old resource version") }));
    }
    this.#streams.clear();
  }

  bookmark(): void {
    this.#version++;
    for (const { resource, response } of this.#streams) {
      const object = { kind: KINDS[resource], metadata: { resourceVersion: String(this.#version) } };
      response.write(line({ type: "BOOKMARK", object }));
    }
  }

  /** Ends open watches, in order as at their time limit, or by breaking them. */
  endStreams(how: "end" | "break"): void {
    for (const { response } of this.#streams) {
      if (how === "end") response.end();
      else response.socket?.resetAndDestroy();
    }
    this.#streams.clear();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "", "http://api");
    let text = "";
    for await (const chunk of request) text += String(chunk);
    const body = text === "" ? undefined : (JSON.parse(text) as RawObject);
    const method = request.method ?? "";
    this.asked.push({ method, path: request.url ?? "", body, headers: request.headers });
    const at = this.#faults.findIndex(({ match }) => match.test(`${method} ${request.url}`));
    const fault = at < 0 ? undefined : this.#faults.splice(at, 1)[0]?.fault;
    if (fault?.kind === "hang") return void this.#held.add(response);
    if (fault?.kind === "stall") {
      response.writeHead(200, { "content-type": "application/json" });
      response.write('{"kind":');
      return void this.#held.add(response);
    }
    if (fault?.kind === "cut") return void request.socket.resetAndDestroy();
    if (fault?.kind === "status") {
      response.writeHead(fault.status, { "content-type": "application/json", ...fault.headers });
      return void response.end(JSON.stringify(fault.body ?? status(fault.status, "Scripted", "scripted")));
    }
    const [, resource = "", name, sub] = /\/namespaces\/[^/]+\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(url.pathname) ?? [];
    if (url.searchParams.get("watch") === "true") return this.#watch(resource, url.searchParams, response);
    const reply = this.#answer(method, { resource, name, sub, query: url.searchParams, body });
    if (fault?.kind === "lose") return void request.socket.resetAndDestroy();
    response.writeHead(reply.code, { "content-type": "application/json" });
    response.end(JSON.stringify(reply.body));
  }

  #answer(method: string, asked: Question): { readonly code: number; readonly body: object } {
    const { resource, name = asked.body?.metadata?.name ?? "", query, body = {} } = asked;
    const there = this.#objects.get(`${resource}/${name}`);
    const refuse = (code: number, reason: string, words: string) => ({ code, body: status(code, reason, words) });
    if (method === "GET" && name === "") {
      const items = [...this.#objects].flatMap(([key, o]) => (key.startsWith(`${resource}/`) && selects(query, o) ? [o] : []));
      return { code: 200, body: { metadata: { resourceVersion: String(this.#version) }, items } };
    }
    if (method === "POST") {
      if (there !== undefined) return refuse(409, "AlreadyExists", `${resource} "${name}" already exists`);
      return { code: 201, body: this.#store("ADDED", resource, body) };
    }
    if (there === undefined) return refuse(404, "NotFound", `${resource} "${name}" not found`);
    const version = body.metadata?.resourceVersion;
    if (method === "PUT" || method === "PATCH") {
      if (version !== undefined && version !== there.metadata.resourceVersion) {
        return refuse(409, "Conflict", `Operation cannot be fulfilled on ${resource} "${name}": the object has been modified`);
      }
      if (asked.sub === "scale") {
        const spec = { ...(there["spec"] as object), ...(body["spec"] as object) };
        const { metadata } = this.#store("MODIFIED", resource, { ...there, spec });
        return { code: 200, body: { kind: "Scale", metadata, spec: { replicas: (spec as { replicas?: number }).replicas } } };
      }
      return { code: 200, body: this.#store("MODIFIED", resource, method === "PUT" ? body : merged(there, body)) };
    }
    if (method === "DELETE") {
      const uid = (body["preconditions"] as { readonly uid?: string } | undefined)?.uid;
      if (uid !== undefined && uid !== there.metadata.uid) return refuse(409, "Conflict", "the UID in the precondition does not match");
      this.remove(resource, name);
      return { code: 200, body: status(200, "", "") };
    }
    if (asked.sub === "scale") {
      return {
        code: 200,
        body: { kind: "Scale", metadata: there.metadata, spec: { replicas: (there["spec"] as { replicas?: number }).replicas } },
      };
    }
    return { code: 200, body: there };
  }

  #watch(resource: string, query: URLSearchParams, response: ServerResponse): void {
    const since = Number(query.get("resourceVersion"));
    if (since < this.#oldest) {
      response.writeHead(200, { "content-type": "application/json" });
      return void response.end(line({ type: "ERROR", object: status(410, "Expired", "too old resource version") }));
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    for (const { version, type, object, ...told } of this.#log) {
      if (told.resource === resource && version > since && selects(query, object)) response.write(line({ type, object }));
    }
    const stream = { resource, query, response };
    this.#streams.add(stream);
    response.on("close", () => this.#streams.delete(stream));
  }

  #store(type: string, resource: string, object: RawObject): Stored {
    const name = String(object.metadata?.name);
    const before = this.#objects.get(`${resource}/${name}`);
    const uid = object.metadata?.uid ?? before?.metadata.uid ?? `uid-${this.#version}`;
    const stored: Stored = {
      kind: KINDS[resource],
      ...object,
      metadata: { ...object.metadata, name, uid, resourceVersion: String(++this.#version) },
    };
    this.#objects.set(`${resource}/${name}`, stored);
    this.#tell(type, resource, stored);
    return stored;
  }

  #tell(type: string, resource: string, object: Stored): void {
    this.#log.push({ version: this.#version, resource, type, object });
    for (const stream of this.#streams) {
      if (stream.resource === resource && selects(stream.query, object)) stream.response.write(line({ type, object }));
    }
  }
}

type Question = {
  readonly resource: string;
  readonly name: string | undefined;
  readonly sub: string | undefined;
  readonly query: URLSearchParams;
  readonly body: RawObject | undefined;
};

function selects(query: URLSearchParams, object: RawObject): boolean {
  const labels = (query.get("labelSelector") ?? "").split(",").filter((part) => part !== "");
  const [, name] = /^metadata\.name=(.*)$/.exec(query.get("fieldSelector") ?? "") ?? [];
  return (
    (name === undefined || object.metadata?.name === name) &&
    labels.every((part) => {
      const [key = "", value] = part.split("=");
      return object.metadata?.labels?.[key] === value;
    })
  );
}

/** RFC 7386. */
function merged(there: unknown, change: unknown): RawObject {
  if (typeof change !== "object" || change === null || Array.isArray(change)) return change as RawObject;
  const base = { ...(there as Record<string, unknown>) };
  for (const [key, value] of Object.entries(change)) {
    if (value === null) delete base[key];
    else base[key] = merged(base[key], value);
  }
  return base;
}

function status(code: number, reason: string, message: string): object {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: code < 400 ? "Success" : "Failure", message, reason, code };
}

function line(event: object): string {
  return `${JSON.stringify(event)}\n`;
}
