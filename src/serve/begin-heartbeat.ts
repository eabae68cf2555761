import { Worker as Thread } from "node:worker_threads";
import { Pulse } from "../worker/heartbeat.ts";
import type { HeartbeatData } from "./heartbeat-thread.ts";

/** Largest heap of the thread, in MB: it holds one client with two connections. */
const MAX_HEAP_MB = 64;

/** Starts the heartbeat thread. The caller beats the pulse and ends the thread. */
export function beginHeartbeat(data: Omit<HeartbeatData, "pulse">): { readonly thread: Thread; readonly pulse: Pulse } {
  const pulse = new Pulse();
  // Built files lie beside each other as the sources do.
  const entry = new URL(import.meta.url.endsWith(".ts") ? "./heartbeat-thread.ts" : "./heartbeat-thread.js", import.meta.url);
  const workerData: HeartbeatData = { ...data, pulse: pulse.memory };
  const thread = new Thread(entry, { workerData, resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB }, name: "heartbeat" });
  return { thread, pulse };
}
