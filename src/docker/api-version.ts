import { ConfigurationError } from "../core/errors.ts";

/** The newest API whose replies this code was written for. */
const OUR_MAX = "1.47";
/** Docker 20.10. Source: docker.md section 4; CgroupnsMode and one-shot stats need it. */
const OUR_MIN = "1.41";

export type VersionReply = { readonly Version: string; readonly ApiVersion: string; readonly MinAPIVersion?: string };

/** The API version to speak: the newest that both sides know, never a fixed one.
 *  @throws {ConfigurationError} when there is none. */
export function agreeVersion({ Version, ApiVersion, MinAPIVersion }: VersionReply): string {
  if (!isAtLeast(ApiVersion, OUR_MIN))
    throw new ConfigurationError(
      `DOCKER_HOST: must lead to a Docker Engine with API ${OUR_MIN} or newer, got ${ApiVersion} (Docker ${Version}): upgrade Docker to 20.10 or newer`,
    );
  const version = isAtLeast(ApiVersion, OUR_MAX) ? OUR_MAX : ApiVersion;
  if (MinAPIVersion !== undefined && !isAtLeast(version, MinAPIVersion))
    throw new ConfigurationError(
      `DOCKER_HOST: must lead to a Docker Engine that speaks API ${version}, got one from ${MinAPIVersion} on (Docker ${Version}): upgrade this runtime`,
    );
  return version;
}

function isAtLeast(version: string, least: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [leastMajor = 0, leastMinor = 0] = least.split(".").map(Number);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}
