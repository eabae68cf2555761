import { chmod, readFile } from "node:fs/promises";
import { Readable } from "node:stream";

import type { Say } from "./cache.ts";
import { run, until } from "./command.ts";
import { fetchPackageFile } from "./debian.ts";
import { connectDocker } from "./find-docker.ts";
import { packTar, type TarEntry } from "./tar.ts";

/** What examples/bots.yaml and the system tests run: Debian's static busybox and nothing else. */
export const BOT_IMAGE = "bot-runner/demo-bot:1";

const meta = ['CMD ["/bin/sh"]', "ENV PATH=/bin", 'LABEL org.opencontainers.image.title="Bot Runner demo bot"'];

/** Makes the demo's bot image in this engine unless it is there. Nothing is pulled. */
export async function ensureBotImage(dockerHost: string, cacheDir: string, say: Say): Promise<void> {
  const docker = connectDocker(dockerHost);
  const isThere = () =>
    docker
      .getImage(BOT_IMAGE)
      .inspect()
      .then(() => true, missing);
  if (await isThere()) return;
  const busybox = await fetchPackageFile({ cacheDir, say }, "busybox-static", "bin/busybox");
  say(`building the image ${BOT_IMAGE}`);
  await chmod(busybox, 0o755);
  const applets = (await run(busybox, ["--list"])).trim().split("\n");
  const archive = Readable.from([packTar(tree(await readFile(busybox), applets))]);
  const [repo, tag] = BOT_IMAGE.split(":");
  const reply = await docker.importImage(archive, { repo, tag, changes: meta.join("\n") });
  reply.resume();
  // The reply's status is 200 also for a failed import; only the image itself tells.
  await until(`the image ${BOT_IMAGE}`, 60_000, async () => (await isThere()) || undefined);
}

function missing(error: unknown): false {
  if (error instanceof Error && "statusCode" in error && error.statusCode === 404) return false;
  throw new Error(`Cannot inspect the image "${BOT_IMAGE}"`, { cause: error });
}

function tree(busybox: Buffer, applets: readonly string[]): TarEntry[] {
  const links = applets.filter((a) => a !== "busybox").map((a) => ({ path: `bin/${a}`, mode: 0o777, link: "busybox" }));
  return [
    { path: "bin/", mode: 0o755 },
    { path: "bin/busybox", mode: 0o755, data: busybox },
    ...links,
    { path: "etc/", mode: 0o755 },
    { path: "etc/group", mode: 0o644, data: Buffer.from("root:x:0:\nnogroup:x:65534:\n") },
    { path: "etc/passwd", mode: 0o644, data: Buffer.from("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n") },
    { path: "tmp/", mode: 0o1777 },
  ];
}
