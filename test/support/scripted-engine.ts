// scripted-engine.ts SOCKET: the fake daemon as a program, in the place of dockerd behind a pod's fence.
import { chmodSync, mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { FakeDaemon } from "./fake-daemon.ts";

const [socket = ""] = process.argv.slice(2);
// It makes its socket in a directory of its own; whoever connects finds it by its name, wherever that is moved.
process.env["TMPDIR"] = join(dirname(socket), "scripted");
mkdirSync(process.env["TMPDIR"], { recursive: true });
const daemon = await FakeDaemon.start();
daemon.onRequest = () => void (daemon.asked.length = 0); // nobody here reads what was asked
const made = daemon.host.replace("unix://", "");
chmodSync(made, 0o666);
renameSync(made, socket);
// From now on no event reaches anybody, and the next look at a container is refused; the second signal takes back the first.
process.on("SIGUSR2", () => {
  daemon.isMute = !daemon.isMute;
  daemon.thaw();
  if (daemon.isMute) daemon.fail(/^GET \/containers\/[^/]+\/json/, { kind: "refuse", status: 500, message: "no such luck" });
});
