import { spawn } from "node:child_process";
import { once } from "node:events";

/** Holds the lock of this file until `release` is called or this process has died. `undefined`: somebody else holds it. */
export async function holdLock(path: string): Promise<{ readonly release: () => Promise<void> } | undefined> {
  // The lock is that of an inherited descriptor: it ends with `cat`, which ends with its input.
  const args = ["--nonblock", "--no-fork", path, "sh", "-c", "echo; exec cat >/dev/null"];
  const child = spawn("flock", args, { detached: true, stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(child, "exit").then(() => undefined);
  child.stdin.on("error", () => undefined);
  const held = await Promise.race([once(child.stdout, "data"), ended]);
  if (held === undefined) return undefined;
  const release = async (): Promise<void> => {
    child.stdin.end();
    await ended;
  };
  return { release };
}
