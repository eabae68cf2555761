import Docker from "dockerode";

const systemSocket = "unix:///var/run/docker.sock";

/** A client for a DOCKER_HOST of the form unix:///path, tcp://host:port or http(s)://host:port. */
export function connectDocker(dockerHost: string): Docker {
  const url = new URL(dockerHost);
  if (url.protocol === "unix:") return new Docker({ socketPath: url.pathname });
  const protocol = url.protocol === "https:" ? "https" : "http";
  return new Docker({ host: url.hostname, port: Number(url.port || 2375), protocol });
}

/** Whether an engine answers there within the time limit. */
export async function answers(dockerHost: string, timeoutMs = 3000): Promise<boolean> {
  // The engine may accept and then hang; the signal alone does not end every such call of dockerode.
  const limit = AbortSignal.timeout(timeoutMs);
  const late = new Promise<false>((done) => limit.addEventListener("abort", () => done(false), { once: true }));
  // The types of dockerode do not know that ping takes options.
  const docker = connectDocker(dockerHost) as unknown as { ping(options: object): Promise<unknown> };
  const ping = docker.ping({ abortSignal: limit });
  return Promise.race([
    ping.then(
      () => true,
      () => false,
    ),
    late,
  ]);
}

/** The engine that the user has: DOCKER_HOST, or the system's socket if one answers there.
 *  @throws {Error} when DOCKER_HOST is set and nothing answers: it was meant, so nothing else will do. */
export async function findDocker(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const named = env["DOCKER_HOST"];
  if (!named) return (await answers(systemSocket)) ? systemSocket : undefined;
  if (!(await answers(named))) throw new Error(`Cannot reach the Docker Engine at DOCKER_HOST "${named}"`);
  return named;
}
