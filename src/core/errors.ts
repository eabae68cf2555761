/** Base of every fault that somebody catches or an operator reads: a stable code, verb-first text, the cause kept. */
export abstract class BotRunnerError extends Error {
  abstract readonly code: string;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The Docker Engine did not answer, or broke off. What was asked may still happen. */
export class EngineUnreachableError extends BotRunnerError {
  readonly code = "ENGINE_UNREACHABLE";
}

/** The Docker Engine answered no. `status` is its HTTP status; the next inspect shows where things stand. */
export class EngineRefusedError extends BotRunnerError {
  readonly code = "ENGINE_REFUSED";
  readonly status: number;
  constructor(message: string, status: number, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** The Docker Engine refuses a container's name that nothing has: a failed create or a removal has not let it go. */
export class NameHeldError extends BotRunnerError {
  readonly code = "NAME_HELD";
}

/** An image cannot be had. `permanent` means: not before the bot's document changes. */
export class ImageUnavailableError extends BotRunnerError {
  readonly code = "IMAGE_UNAVAILABLE";
  readonly permanent: boolean;
  /** How long to leave image and registry alone; absent when nobody knows. */
  readonly retryMs: number | undefined;
  constructor(message: string, permanent: boolean, { retryMs, ...options }: ErrorOptions & { readonly retryMs?: number } = {}) {
    super(message, options);
    this.permanent = permanent;
    this.retryMs = retryMs;
  }
}

/** MongoDB did not answer or could not serve. Whether a write landed is unknown. */
export class StoreUnreachableError extends BotRunnerError {
  readonly code = "STORE_UNREACHABLE";
}

/** The Kubernetes API did not answer or could not serve. Whether a write landed is unknown. */
export class ClusterUnreachableError extends BotRunnerError {
  readonly code = "CLUSTER_UNREACHABLE";
}

/** The Kubernetes API answered no: a right is missing, or an admission rule refused. The text names verb and resource. */
export class ClusterRefusedError extends BotRunnerError {
  readonly code = "CLUSTER_REFUSED";
  readonly status: number;
  constructor(message: string, status: number, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** Somebody ended this session or took its place: it owns nothing any more. */
export class SessionLostError extends BotRunnerError {
  readonly code = "SESSION_LOST";
  /** `ended`: stop every bot, then exit. `replaced`: a newer process of this worker lives; exit and stop nothing. */
  readonly how: "ended" | "replaced";
  constructor(how: "ended" | "replaced", options?: ErrorOptions) {
    super(how === "ended" ? "Cannot go on: this session was ended" : "Cannot go on: a newer process took over this session", options);
    this.how = how;
  }
}

/** The leader's work did not end when the lease was lost: another process may lead beside us. The process must end. */
export class LeadershipStuckError extends BotRunnerError {
  readonly code = "LEADERSHIP_STUCK";
  constructor() {
    super("Cannot go on: the leader's work did not end with its lease");
  }
}

/** The fence in the dind container does not answer: nobody would kill our bots if we could not. The process must end. */
export class FenceSilentError extends BotRunnerError {
  readonly code = "FENCE_SILENT";
}

/** The environment, a document or the command line is at fault: the process ends with 78 and one message. */
export class ConfigurationError extends BotRunnerError {
  readonly code = "CONFIGURATION";
}

export function assertNever(value: never): never {
  throw new TypeError(`Cannot handle ${JSON.stringify(value)}: the case is missing`);
}
