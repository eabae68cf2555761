import type { ParsedConfig } from "../config.ts";
import { lockStateDir, openStateDir } from "../process/state-dir.ts";
import { listenForSignals } from "../process/signals.ts";
import { createLog } from "../telemetry/log.ts";
import { Runtime } from "./runtime.ts";

/** Runs one complete runtime until it is told to stop. Returns the exit code. @throws {ConfigurationError} */
export async function serve(parsed: ParsedConfig): Promise<number> {
  const { config } = parsed;
  const log = createLog({ level: config.logLevel, format: config.logFormat, stream: process.stdout });
  const signals = listenForSignals();
  const cleanup: (() => Promise<void> | void)[] = [() => log.close(), () => signals.close()];
  try {
    for (const warning of parsed.warnings) log.warn("Found a setting without effect", { warning });
    await openStateDir(config.stateDir);
    const locks = [await lockStateDir("STATE_DIR", config.stateDir)];
    cleanup.push(() => locks[0]?.release());
    // One process behind a fence, whatever state directories it is given.
    if (config.fenceDir !== undefined && config.coordination !== "single") {
      const lock = await lockStateDir("FENCE_DIR", config.fenceDir);
      cleanup.push(() => lock.release());
      locks.push(lock);
    }
    const runtime = new Runtime(parsed, log, signals);
    cleanup.push(() => runtime.close());
    return await runtime.run(AbortSignal.any(locks.map((lock) => lock.lost)));
  } catch (error) {
    if (error !== signals.stop.reason) throw error;
    log.info("Ended before it had begun");
    return 0;
  } finally {
    for (const release of cleanup.toReversed()) await release();
  }
}
