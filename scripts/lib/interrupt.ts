import type { Say } from "./cache.ts";

/** Aborts when somebody ends this process: what was made is then taken down in order. */
export function watchInterrupt(): AbortSignal {
  const interrupt = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => interrupt.abort(new Error(name)));
  return interrupt.signal;
}

/** Says lines with the seconds since now before them. */
export function timedSay(): Say {
  const began = performance.now();
  return (line) => console.log(`[${((performance.now() - began) / 1_000).toFixed(1).padStart(6)} s] ${line}`);
}
