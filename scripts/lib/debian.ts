import { access, copyFile, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, delimiter, dirname, join } from "node:path";

import { hashFile, type Place, type Say } from "./cache.ts";
import { run, withRetry } from "./command.ts";

const installer = join(import.meta.dirname, "apt-install.sh");
const sbins = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/** For children that need tools of the system directories, which a user's PATH may lack. */
export const systemPath = [process.env["PATH"] ?? "", ...sbins].join(delimiter);

/** Full path of the first of these programs that is installed. */
export async function findProgram(...names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    for (const dir of systemPath.split(delimiter)) {
      const path = join(dir, name);
      if (
        dir !== "" &&
        (await access(path).then(
          () => true,
          () => false,
        ))
      )
        return path;
    }
  }
  return undefined;
}

/** Installs packages without starting, or enabling for the next boot, any service. */
export async function installPackages(packages: readonly string[], say: Say): Promise<void> {
  if (packages.length === 0) return;
  if (process.getuid?.() !== 0) throw new Error(`Cannot install "${packages.join(" ")}": needs root`);
  if (!(await findProgram("apt-get"))) throw new Error(`Cannot install "${packages.join(" ")}": not a Debian machine`);
  say(`installing ${packages.join(" ")} (Debian packages, no service is started)`);
  await withRetry(`install ${packages.join(" ")}`, say, () =>
    run("sh", [installer, ...packages], { uninterrupted: true, env: { ...process.env, PATH: systemPath } }),
  );
}

/** One file out of a Debian package, in the cache; nothing is installed. Its sha256 is checked at each use. */
export async function fetchPackageFile(place: Omit<Place, "runDir">, name: string, file: string): Promise<string> {
  const path = join(place.cacheDir, "debian", name, basename(file));
  const stamp = `${path}.sha256`;
  const wanted = await readFile(stamp, "utf8").catch(() => undefined);
  if (wanted !== undefined && (await hashFile(path).catch(() => "")) === wanted) return path;
  place.say(`fetching ${basename(file)} from the Debian package ${name}`);
  await mkdir(dirname(path), { recursive: true });
  const dir = await mkdtemp(join(place.cacheDir, "fetch-"));
  try {
    await withRetry(`download ${name}`, place.say, () => download(name, dir));
    const [deb] = (await readdir(dir)).filter((f) => f.endsWith(".deb"));
    if (deb === undefined) throw new Error(`Cannot find the package "${name}" in "${dir}"`);
    await run("dpkg", ["-x", join(dir, deb), join(dir, "tree")]);
    await copyFile(join(dir, "tree", file), join(dir, "file"));
    await rename(join(dir, "file"), path);
    await writeFile(stamp, await hashFile(path));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  return path;
}

// apt checks the hash of what it downloads against its signed index. A fresh machine may have no index yet.
async function download(name: string, dir: string): Promise<void> {
  const get = () => run("apt-get", ["-o", "APT::Sandbox::User=root", "download", name], { cwd: dir });
  await get().catch(async () => {
    await run("apt-get", ["update"]);
    await get();
  });
}
