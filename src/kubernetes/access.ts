import { readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { delimiter, join } from "node:path";
import { ConfigurationError } from "../core/errors.ts";

/** How to reach the API server: plain data, so that a thread can be given it. */
export type Access = {
  /** Without a slash at its end. */
  readonly server: string;
  /** Where the kubeconfig or the service account says that we are. */
  readonly namespace: string | undefined;
  /** PEM. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  /** The kubeconfig says that the server's certificate need not be checked. */
  readonly isUnverified: boolean;
  /** Authorization and impersonation, fixed. */
  readonly headers: Readonly<Record<string, string>>;
  /** Holds the bearer token. The kubelet replaces it, so it is read for each request. */
  readonly tokenFile?: string;
};

/** Where the kubelet puts a pod's service account. */
const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The service account inside a cluster, else KUBECONFIG. The client library is loaded for a kubeconfig alone: it takes 80 MB
 *  of memory and 0.7 s, which no pod should pay for three small files.
 *  @throws {ConfigurationError} */
export async function loadAccess(env: NodeJS.ProcessEnv, account = ACCOUNT): Promise<Access> {
  try {
    const host = env["KUBERNETES_SERVICE_HOST"] ?? "";
    return host === ""
      ? await fromKubeconfig(env["KUBECONFIG"] ?? "")
      : fromAccount(host, env["KUBERNETES_SERVICE_PORT"] ?? "443", account);
  } catch (cause) {
    if (cause instanceof ConfigurationError) throw cause;
    throw new ConfigurationError("Cannot read how to reach the Kubernetes API: check the service account's files, or KUBECONFIG", {
      cause,
    });
  }
}

function fromAccount(host: string, port: string, account: string): Access {
  const tokenFile = join(account, "token");
  readFileSync(tokenFile); // a missing one is told now, not by a 401
  return {
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    namespace: readFileSync(join(account, "namespace"), "utf8").trim(),
    ca: readFileSync(join(account, "ca.crt"), "utf8"),
    isUnverified: false,
    headers: {},
    tokenFile,
  };
}

async function fromKubeconfig(path: string): Promise<Access> {
  if (path === "")
    throw new ConfigurationError("Cannot find the Kubernetes API: run in a cluster with a service account, or set KUBECONFIG");
  const { KubeConfig } = await import("@kubernetes/client-node");
  const file = new KubeConfig();
  const parts = path.split(delimiter).filter((name) => name !== "");
  for (const [i, part] of parts.entries()) {
    const next = new KubeConfig();
    next.loadFromFile(part);
    file.mergeConfig(next, i > 0); // the first one says which context is current
  }
  const cluster = file.getCurrentCluster();
  if (cluster === null) throw new ConfigurationError(`Cannot use KUBECONFIG "${path}": it has no current context`);
  const user = file.getCurrentUser();
  const read: { ca?: unknown; cert?: unknown; key?: unknown; servername?: string; headers?: object } = {};
  await file.applyToHTTPSOptions(read as Parameters<typeof file.applyToHTTPSOptions>[0]);
  const basic =
    user?.username === undefined ? {} : { Authorization: `Basic ${Buffer.from(`${user.username}:${user.password}`).toString("base64")}` };
  return {
    server: cluster.server.replace(/\/+$/, ""),
    namespace: file.getContextObject(file.getCurrentContext())?.namespace,
    ...pem("ca", read.ca),
    ...pem("cert", read.cert),
    ...pem("key", read.key),
    ...(read.servername !== undefined && { servername: read.servername }),
    isUnverified: cluster.skipTLSVerify,
    headers: { ...basic, ...(read.headers as Record<string, string>) },
  };
}

function pem<K extends string>(name: K, value: unknown): { readonly [key in K]?: string } {
  return (Buffer.isBuffer(value) ? { [name]: value.toString("utf8") } : {}) as { readonly [key in K]?: string };
}
