import type { Agent, IncomingMessage } from "node:http";
import Docker from "dockerode";
import type { Clock } from "../core/clock.ts";
import { BotRunnerError, EngineRefusedError, EngineUnreachableError } from "../core/errors.ts";
import { parseDockerHost } from "./address.ts";
import { agreeVersion, type VersionReply } from "./api-version.ts";
import { QuietAgent } from "./quiet-agent.ts";
import type { Credentials } from "./registry-auth.ts";

/** Time limit of a call that asks for nothing slow, in ms. */
const CALL_LIMIT_MS = 10_000;
/** Time limit of a ping, in ms. */
const PING_LIMIT_MS = 5_000;
/** Time limit of create, start, remove and a list, in ms. In a storm of 64 starts one takes up to 15 s, and lists
 *  wait behind them. Source: docker.md section 3. */
export const BUSY_LIMIT_MS = 30_000;
/** Calls at a time; more wait for a socket, within their time limit. Source: docker.md rule 17. */
const MAX_CALL_SOCKETS = 16;

export type Request = {
  /** Completes "Cannot ..." in errors: verb first, values quoted. */
  readonly what: string;
  readonly method: "GET" | "POST" | "DELETE";
  /** Without the version; parts are encoded by the caller. */
  readonly path: string;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: object;
  /** Goes out as X-Registry-Auth and nowhere else. */
  readonly registryAuth?: Credentials;
  /** Ends the request early. */
  readonly signal?: AbortSignal;
  /** @default 10 s for calls, none for streams */
  readonly limitMs?: number;
};

/** One Docker Engine over HTTP. Built on dockerode's modem with one door for all requests, because its own time limits
 *  do not hold: `timeout` cuts quiet streams, `connectionTimeout` cuts long calls, and a body that breaks off is never
 *  noticed unless the reply is read as a stream (docker.md rules 15 and 16).
 *  Every method throws EngineUnreachableError, EngineRefusedError, or the reason of the caller's own signal. */
export class DockerClient {
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #agents: readonly Agent[];
  readonly #calls: Docker["modem"];
  readonly #streams: Docker["modem"];
  #version: Promise<string> | undefined;

  /** @throws {ConfigurationError} when `dockerHost` cannot be read. */
  constructor(dockerHost: string | undefined, clock: Clock) {
    const address = parseDockerHost(dockerHost);
    const calls = new QuietAgent({ keepAlive: true, maxSockets: MAX_CALL_SOCKETS });
    // Long requests get sockets of their own: in a shared pool a few of them would block every call.
    const streams = new QuietAgent({ keepAlive: false, maxSockets: Infinity });
    // What is left out here the modem takes from the environment, and a host found there beats our socket.
    const none = {
      socketPath: undefined,
      host: undefined,
      port: undefined,
      timeout: undefined,
      ca: undefined,
      cert: undefined,
      key: undefined,
    };
    const options = { ...none, protocol: "http" as const, ...address };
    const modem = (own: { agent: Agent }) => new Docker({ ...options, ...own }).modem; // dockerode's types forget the agent
    this.#clock = clock;
    this.#agents = [calls, streams];
    this.#calls = modem({ agent: calls });
    this.#streams = modem({ agent: streams });
  }

  /** Breaks off all that is under way. */
  close(): void {
    this.#closing.abort(new EngineUnreachableError("Cannot reach the Docker Engine: the connection was closed"));
    for (const agent of this.#agents) agent.destroy();
  }

  /** The version both sides speak, asked once. @throws {ConfigurationError} when there is none. */
  async apiVersion(): Promise<string> {
    this.#version ??= this.version().then(agreeVersion);
    try {
      return await this.#version;
    } catch (error) {
      this.#version = undefined;
      throw error;
    }
  }

  version(): Promise<VersionReply> {
    const request: Request = { what: "ask for the Docker Engine's version", method: "GET", path: "/version" };
    return this.#retried(request, () => this.#exchange(this.#calls, "", { limitMs: CALL_LIMIT_MS, ...request }, readJson<VersionReply>));
  }

  /** Whether the Engine answers at all. On a socket of its own: one that waits for calls that hang would tell of them only. */
  async ping(): Promise<void> {
    const request: Request = { what: "ping the Docker Engine", method: "GET", path: "/_ping" };
    await this.#exchange(this.#streams, "", { ...request, limitMs: PING_LIMIT_MS }, readJson<undefined>);
  }

  /** One request with one JSON answer; an empty answer is `undefined`. */
  call<T>(request: Request): Promise<T> {
    return this.#retried(request, () => this.#versioned(this.#calls, { limitMs: CALL_LIMIT_MS, ...request }, readJson<T>));
  }

  /** A request that may rightly be silent for long: a socket of its own, and only the time limit it brings. */
  callLong<T>(request: Request & { readonly limitMs: number }): Promise<T> {
    return this.#versioned(this.#streams, request, readJson<T>);
  }

  /** A request whose answer is read as it comes. The socket is closed when `use` ends, however it ends. */
  stream<T>(request: Request, use: (body: IncomingMessage) => Promise<T>): Promise<T> {
    return this.#versioned(this.#streams, request, use);
  }

  /** A socket that idled through a restart of the daemon fails at its first use. Only a GET may simply be asked again;
   *  whether anything else landed is for the next inspect to tell. */
  async #retried<T>({ method }: Request, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      const code = error instanceof EngineUnreachableError ? (error.cause as NodeJS.ErrnoException | undefined)?.code : undefined;
      if (method !== "GET" || (code !== "ECONNRESET" && code !== "EPIPE")) throw error;
      return act();
    }
  }

  async #versioned<T>(modem: Docker["modem"], request: Request, use: (body: IncomingMessage) => Promise<T>): Promise<T> {
    const version = await this.apiVersion();
    try {
      return await this.#exchange(modem, `/v${version}`, request, use);
    } catch (error) {
      if (!(error instanceof EngineRefusedError && error.status === 400 && /client version .* is too/.test(error.message))) throw error;
      // The daemon was replaced by an older or a much newer one, and has not even looked at the request.
      this.#version = undefined;
      return this.#exchange(modem, `/v${await this.apiVersion()}`, request, use);
    }
  }

  async #exchange<T>(modem: Docker["modem"], prefix: string, request: Request, use: (body: IncomingMessage) => Promise<T>): Promise<T> {
    const { what, signal, limitMs = Infinity } = request;
    const outer = signal === undefined ? this.#closing.signal : AbortSignal.any([this.#closing.signal, signal]);
    outer.throwIfAborted();
    const cut = new AbortController();
    const timer = new AbortController();
    const wait = AbortSignal.any([outer, timer.signal]);
    try {
      // The timer is raced, not only wired to the request: a promise of the modem that is lost must not hold us.
      return await Promise.race([
        dial(modem, prefix, request, cut.signal).then(async (body) => {
          try {
            return await use(body);
          } finally {
            body.destroy();
          }
        }),
        overdue(this.#clock, what, limitMs, wait),
      ]);
    } catch (error) {
      outer.throwIfAborted();
      if (error instanceof BotRunnerError || !isTransportFault(error)) throw error;
      throw new EngineUnreachableError(`Cannot ${what}: the Docker Engine did not answer`, { cause: error });
    } finally {
      timer.abort();
      cut.abort(); // after a complete answer the request is over and its socket back in the pool: this touches nothing
    }
  }
}

/** A broken connection or half an answer, as against a mistake in the code that reads it. */
function isTransportFault(error: unknown): boolean {
  return error instanceof SyntaxError || (error instanceof Error && !(error instanceof TypeError) && "code" in error);
}

/** @throws {EngineUnreachableError} after `limitMs`; the signal's reason if that aborts first. */
async function overdue(clock: Clock, what: string, limitMs: number, signal: AbortSignal): Promise<never> {
  if (limitMs < Infinity) {
    await clock.sleep(limitMs, signal);
    throw new EngineUnreachableError(`Cannot ${what}: no complete answer within ${limitMs / 1000} s`);
  }
  signal.throwIfAborted();
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

function dial(
  modem: Docker["modem"],
  prefix: string,
  { what, method, path, query = {}, body = {}, registryAuth }: Request,
  abortSignal: AbortSignal,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const options = {
    // The modem cuts the last character off a path with `?` unless it has options, and takes options for the body
    // unless there is `_body`: both are always given.
    path: `${prefix}${path}?`,
    method,
    options: { _query: query, _body: body },
    statusCodes: { 200: true, 201: true, 204: true },
    isStream: true,
    abortSignal,
    ...(registryAuth && { authconfig: registryAuth }),
  };
  modem.dial(options, (error: (Error & { statusCode?: number; json?: unknown }) | null, reply: unknown) => {
    if (!error) {
      // Cut between two readers, the body would throw its error at the process.
      const body = reply as IncomingMessage;
      resolve(body.on("error", () => {}));
    } else if (error.statusCode === undefined) reject(error);
    else
      reject(
        new EngineRefusedError(`Cannot ${what}: the Docker Engine answered ${error.statusCode}, ${said(error.message)}`, error.statusCode),
      );
  });
  return promise;
}

/** The Engine's own words, which the modem wraps as "(HTTP code 404) unexpected - words ". */
function said(message: string): string {
  return message.replace(/^\(HTTP code \d+\) \w+ - /, "").trim() || "no reason given";
}

async function readJson<T>(body: IncomingMessage): Promise<T> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString("utf8");
  return (text === "" || text === "OK" ? undefined : JSON.parse(text)) as T;
}
