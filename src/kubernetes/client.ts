import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { setTimeout as delay } from "node:timers/promises";
import type { Access } from "./access.ts";
import { ClusterBusyError, faultOf, isClusterFault, unreachable } from "./faults.ts";

/** Who we are in managedFields. */
export const FIELD_MANAGER = "botrunner";

export type ApiRequest = {
  readonly verb: "get" | "list" | "watch" | "create" | "update" | "patch" | "delete";
  /** The resource as a Role names it, and which one, for errors: `leases "a"`. */
  readonly what: string;
  /** With its query. */
  readonly path: string;
  readonly body?: object;
  /** No call takes longer, in ms, tries after a 429 included. */
  readonly limitMs: number;
  /** Statuses of 400 and above that are answers to the caller. */
  readonly expect?: readonly number[];
  readonly signal?: AbortSignal;
};
export type ApiReply = { readonly status: number; readonly body: unknown };

const METHODS = { get: "GET", list: "GET", watch: "GET", create: "POST", update: "PUT", patch: "PATCH", delete: "DELETE" } as const;
/** First probe of a silent connection, in ms: balancers forget connections after 60 s. */
const KEEP_ALIVE_MS = 20_000;
/** Idle connections that are kept. */
const MAX_FREE = 2;

/** Requests to the Kubernetes API, without a copy of its schema: node's own HTTP with kept connections. The client library is
 *  not used for them: in 2.0.1 it makes a new TLS connection for each request, has no time limit, and takes 80 MB. */
export class ApiClient {
  readonly #access: Access;
  readonly #agent: http.Agent;
  #token = "";

  constructor(access: Access) {
    this.#access = access;
    const { ca, cert, key, servername, isUnverified } = access;
    const shared = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, maxFreeSockets: MAX_FREE };
    this.#agent = access.server.startsWith("http:")
      ? new http.Agent(shared)
      : new https.Agent({ ...shared, ca, cert, key, ...(servername !== undefined && { servername }), rejectUnauthorized: !isUnverified });
  }

  /** @throws {ClusterUnreachableError} without an answer in time: what was asked may still happen.
   *  @throws {ClusterRefusedError} on any status of 400 to 499 that was not expected */
  async call(request: ApiRequest): Promise<ApiReply> {
    const reply = await this.#limited(request, async (signal) => {
      for (;;) {
        const response = await this.#send(request, signal);
        const { statusCode: status = 0, headers } = response;
        const text = await textOf(response);
        if (status < 400 || request.expect?.includes(status) === true) return { status, text };
        const fault = faultOf(status, text, askedOf(request), headers["retry-after"]);
        if (!(fault instanceof ClusterBusyError)) throw fault;
        // Nothing has happened yet, so whatever was asked may be asked again; the limit ends the wait.
        await delay(fault.retryAfterMs, undefined, { signal }).catch(() => {
          throw fault;
        });
      }
    });
    return { status: reply.status, body: parsed(reply.text, request) };
  }

  /** An open stream, as soon as the server has accepted it; the limit counts until then. The caller reads it to its end or
   *  destroys it. @throws as `call` */
  async open(request: ApiRequest): Promise<http.IncomingMessage> {
    const response = await this.#limited(request, (signal) => this.#send(request, signal, request.signal));
    const { statusCode: status = 0, headers } = response;
    if (status < 400) return response;
    const text = await this.#limited(request, () => textOf(response)).finally(() => response.destroy());
    throw faultOf(status, text, askedOf(request), headers["retry-after"]);
  }

  /** Ends idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  /** An abort ends the request, and the race ends our wait even if the request does not notice it. */
  async #limited<T>(request: ApiRequest, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { limitMs, signal } = request;
    signal?.throwIfAborted();
    const end = new AbortController();
    const stop = (): void => end.abort(signal?.reason);
    signal?.addEventListener("abort", stop, { once: true });
    const timer = setTimeout(() => end.abort(new Error(`No answer within ${limitMs} ms`)), limitMs);
    const ended = new Promise<never>((_, reject) => {
      end.signal.addEventListener("abort", () => reject(end.signal.reason as Error), { once: true });
    });
    try {
      return await Promise.race([act(end.signal), ended]);
    } catch (error) {
      signal?.throwIfAborted();
      throw isClusterFault(error) ? error : unreachable(askedOf(request), end.signal.aborted ? end.signal.reason : error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  /** One request. A kept connection that the server has closed meanwhile shows only now: then a new one is made. That is
   *  safe for every request of ours, for a write names the version it replaces. */
  async #send(request: ApiRequest, limit: AbortSignal, life?: AbortSignal): Promise<http.IncomingMessage> {
    for (;;) {
      const sent = this.#request(request, life ?? limit);
      const stop = (): void => void sent.destroy();
      limit.addEventListener("abort", stop, { once: true });
      try {
        return await new Promise((resolve, reject) => sent.on("response", resolve).on("error", reject));
      } catch (error) {
        if (!sent.reusedSocket || limit.aborted || !isReset(error)) throw error;
      } finally {
        limit.removeEventListener("abort", stop);
      }
    }
  }

  #request({ verb, path, body }: ApiRequest, signal: AbortSignal): http.ClientRequest {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const type = verb === "patch" ? "application/merge-patch+json" : "application/json";
    const headers = {
      accept: "application/json",
      "user-agent": FIELD_MANAGER,
      ...(text !== undefined && { "content-type": type, "content-length": Buffer.byteLength(text) }),
      ...this.#access.headers,
      ...this.#bearer(),
    };
    const { request } = this.#access.server.startsWith("http:") ? http : https;
    const sent = request(this.#access.server + path, { method: METHODS[verb], agent: this.#agent, headers, signal });
    sent.end(text);
    return sent;
  }

  #bearer(): { readonly authorization?: string } {
    const { tokenFile } = this.#access;
    if (tokenFile === undefined) return {};
    try {
      this.#token = readFileSync(tokenFile, "utf8").trim();
    } catch {
      // being replaced at this moment: the one before it is good for a while
    }
    return { authorization: `Bearer ${this.#token}` };
  }
}

function askedOf({ verb, what }: ApiRequest): string {
  return `${verb} ${what}`;
}

function isReset(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE");
}

async function textOf(response: http.IncomingMessage): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  for await (const chunk of response) text += chunk as string;
  return text;
}

function parsed(text: string, request: ApiRequest): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch (cause) {
    throw unreachable(askedOf(request), cause);
  }
}
