import { readFile } from "node:fs/promises";

/** Ticks a second in /proc: USER_HZ, which is 100 on every Linux that Node runs on. */
const HZ = 100;

/** Seconds of a core that a process has used, in user and kernel mode; its children are not in it. */
export async function cpuOf(pid: number): Promise<number> {
  const line = await readFile(`/proc/${pid}/stat`, "utf8");
  // The command name in parentheses may hold blanks; what follows it does not.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / HZ;
}

/** Seconds of a core that the whole machine has used since it was started. */
export async function cpuOfMachine(): Promise<number> {
  const [line = ""] = (await readFile("/proc/stat", "utf8")).split("\n");
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq) / HZ;
}
