import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { join } from "node:path";

/** A volume driver of an engine that never answers a create. The container that wants such a volume is not there yet, and
 *  its name is taken already. @param etcDir what the engine has for /etc/docker */
export async function startHangingVolumes(etcDir: string, socket: string) {
  const waiting: ServerResponse[] = [];
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    if (request.url === "/Plugin.Activate") response.end('{"Implements": ["VolumeDriver"]}');
    else if (request.url === "/VolumeDriver.Create") resolve(void waiting.push(response));
    else response.end('{"Err": "no such volume"}');
  });
  server.listen(socket);
  await once(server, "listening");
  await mkdir(join(etcDir, "plugins"), { recursive: true });
  await writeFile(join(etcDir, "plugins", "hanging.spec"), `unix://${socket}`);
  const release = (): void => waiting.splice(0).forEach((response) => response.end('{"Err": "no such luck"}'));
  return {
    driver: "hanging",
    asked,
    release,
    async [Symbol.asyncDispose]() {
      release();
      server.closeAllConnections();
      server.close();
    },
  };
}
