import { readFileSync } from "node:fs";
import { z } from "zod";
import { ConfigurationError } from "../core/errors.ts";
import { canonicalRegistry } from "../core/pulls.ts";

/** As the Engine wants it in X-Registry-Auth. */
export type Credentials = {
  readonly serveraddress: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
};

const HUB = "docker.io";
const HUB_ADDRESS = "https://index.docker.io/v1/";
const entry = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
});
const file = z.object({ auths: z.record(z.string(), entry) });

/** Credentials from a docker `config.json`. It is small and read before each pull, so a changed file counts at once.
 *  SECRETS: no text of the file may reach an error or an event, not even by way of a cause: JSON.parse quotes what it cannot read. */
export class RegistryAuth {
  readonly #path: string;
  readonly #onFault: (error: ConfigurationError) => void;
  #text: string | undefined;
  #known: ReadonlyMap<string, Credentials>;
  #told = "";

  /** @throws {ConfigurationError} when the file cannot be used as it is now. Later faults go to `onFault`, each once. */
  constructor(path: string, onFault: (error: ConfigurationError) => void) {
    this.#path = path;
    this.#onFault = onFault;
    this.#text = readText(path);
    this.#known = parse(path, this.#text);
  }

  of(registry: string): Credentials | undefined {
    try {
      const text = readText(this.#path);
      if (text !== this.#text) this.#known = parse(this.#path, text);
      this.#text = text;
      this.#told = "";
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      if (this.#told !== error.message) this.#onFault(error);
      this.#told = error.message;
    }
    return this.#known.get(registry);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw fault(path, `must name a readable file, got (${code})`, "check the path and its mode");
  }
}

function parse(path: string, text: string): Map<string, Credentials> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw fault(path, "must hold JSON", "copy the config.json that docker login writes");
  }
  const { data } = file.safeParse(value);
  if (data === undefined)
    throw fault(path, "must have auths with text in it", 'write {"auths": {"registry.example.com": {"auth": "..."}}}');
  const known = new Map<string, Credentials>();
  for (const [key, given] of Object.entries(data.auths)) {
    const registry = registryOfKey(key);
    const credentials = credentialsOf(registry === HUB ? HUB_ADDRESS : registry, given);
    if (credentials === undefined)
      throw fault(
        path,
        `must have auth (base64 of user:password), username and password, or identitytoken for ${JSON.stringify(key)}`,
        "log in without a credential helper (credsStore, credHelpers), which keeps them elsewhere",
      );
    // A key that is the name itself beats one that only comes down to it.
    if (!known.has(registry) || key === registry) known.set(registry, credentials);
  }
  return known;
}

/** `docker login` writes `ghcr.io`, `https://index.docker.io/v1/` and much between the two. */
function registryOfKey(key: string): string {
  return canonicalRegistry(key.replace(/^https?:\/\//i, "").replace(/\/.*$/, ""));
}

function credentialsOf(serveraddress: string, given: z.infer<typeof entry>): Credentials | undefined {
  const { identitytoken = "" } = given;
  if (identitytoken !== "") return { serveraddress, identitytoken };
  const pair = (given.auth ?? "") === "" ? [given.username, given.password] : decoded(given.auth ?? "");
  const [username, password] = pair;
  return username === undefined || username === "" || password === undefined || password === ""
    ? undefined
    : { serveraddress, username, password };
}

function decoded(auth: string): (string | undefined)[] {
  const text = Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "");
  const colon = text.indexOf(":");
  return colon < 0 ? [] : [text.slice(0, colon), text.slice(colon + 1)];
}

function fault(path: string, wrong: string, fix: string): ConfigurationError {
  return new ConfigurationError(`REGISTRY_AUTH_FILE: ${wrong}, in "${path}": ${fix}`);
}
