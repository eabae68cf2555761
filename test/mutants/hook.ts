// Loaded before anything else in a child process: the file that the mutant names is edited as it is read.
import { registerHooks } from "node:module";

import { mutants } from "./mutants.ts";

const mutant = mutants.find(({ name }) => name === process.env["MUTANT"]);
if (mutant === undefined) throw new Error(`Cannot find the mutant "${process.env["MUTANT"]}"`);
const { file, edit } = mutant;
let isApplied = false;
registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith(`/${file}`)) return loaded;
    isApplied = true;
    return { ...loaded, source: edit(Buffer.from(loaded.source as Uint8Array).toString()) };
  },
});
process.on("exit", () => {
  if (!isApplied) throw new Error(`Cannot mutate "${file}": it was never loaded`);
});
