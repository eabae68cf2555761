// What happens to the fleet's books.
import { dropBooks, restoreBooks } from "../database-faults.ts";
import { type ClusterAct, LIMIT_MS } from "./act.ts";

/** EX_CONFIG: the database is another fleet's. Source: design.md section 2. */
const REFUSED = 78;

/** Row 21. */
export const secondInstallation: ClusterAct = async (scene) => {
  const { fleet } = scene;
  const foreigner = fleet.foreigner();
  try {
    await foreigner.install();
    const path = "jsonpath={.items[*].status.containerStatuses[*]['state', 'lastState'].terminated.exitCode}";
    const codes = await scene.see("the end of the second installation's process", LIMIT_MS, async () => {
      const found = (await foreigner.kubectl("get", "pods", "-o", path)).trim();
      return found === "" ? undefined : found.split(/\s+/).map(Number);
    });
    const pods = (await foreigner.pods()).map(({ name }) => name);
    const { workers } = await fleet.books();
    const faults = codes.every((code) => code === REFUSED)
      ? []
      : [`the second installation ended with ${codes.join(", ")}, expected ${REFUSED}`];
    for (const { pod } of workers) if (pods.includes(pod)) faults.push(`session of "${pod}", expected none`);
    return { bots: fleet.bots, closedAt: fleet.now(), faults };
  } finally {
    await foreigner.uninstall();
    await scene.see("the end of its pods", LIMIT_MS, async () => (await foreigner.pods()).length === 0 || undefined);
    await foreigner.close();
  }
};

/** Row 22: epochs go back, which is the fault and not a breach. */
const watchedAnew =
  (act: typeof dropBooks): ClusterAct =>
  async (scene, pod) => {
    const played = await act(scene, pod);
    scene.fleet.watch.reset();
    return played;
  };
export const booksDropped = watchedAnew(dropBooks);
export const booksRestored = watchedAnew(restoreBooks);
