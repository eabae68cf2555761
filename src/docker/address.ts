import { ConfigurationError } from "../core/errors.ts";

const DEFAULT_HOST = "unix:///var/run/docker.sock";
const DEFAULT_PORT = 2375;

export type Address = { readonly socketPath: string } | { readonly host: string; readonly port: number };

/** Reads DOCKER_HOST: `unix:///path` or `tcp://host:port`; undefined is the usual socket.
 *  @throws {ConfigurationError} for anything else. TLS and ssh are not offered: put the Engine behind a socket. */
export function parseDockerHost(dockerHost: string = DEFAULT_HOST): Address {
  const fault = () =>
    new ConfigurationError(`DOCKER_HOST: must be unix:///path or tcp://host:port, got "${dockerHost}": write ${DEFAULT_HOST}`);
  const [, scheme, rest] = /^([a-z]+):\/\/(.+)$/.exec(dockerHost) ?? [];
  if (scheme === "unix" && rest?.startsWith("/")) return { socketPath: rest };
  if ((scheme !== "tcp" && scheme !== "http") || !URL.canParse(`http://${rest}`)) throw fault();
  const { hostname, port, pathname, search, username } = new URL(`http://${rest}`);
  if (pathname !== "/" || search !== "" || username !== "") throw fault();
  // URL drops a port that is its scheme's own, so 80 must be looked for in the text.
  return { host: hostname, port: port === "" ? (/:80\/?$/.test(dockerHost) ? 80 : DEFAULT_PORT) : Number(port) };
}
