import { namesInSegments } from "../../scripts/lib/cluster/product.ts";
import { type ScrapedFleet, SELECTOR } from "./scraped-fleet.ts";

const S = SELECTOR;
const running = `sum(botrunner_bots{${S}, state="running"})`;
const LEADS = /^botrunner_leader 1$/m;
const WORKS = /^botrunner_bots\{state="running"\} [1-9]/m;

/** All that can move a number in a fleet, good things first. Each step waits until Prometheus has seen the one before. */
export async function liveThroughAnEventfulDay(fleet: ScrapedFleet): Promise<void> {
  const ids = await botsCome(fleet);
  await anEngineMisbehaves(fleet, ids);
  await mongoGoesAway(fleet);
  await aWorkerEnds(fleet);
  await aWorkerStandsStill(fleet);
  await theLeaderEnds(fleet);
  await somebodyElseScales(fleet);
}

/** Three run, one is invalid; then one is disabled. @returns the bots that can run */
async function botsCome(fleet: ScrapedFleet): Promise<string[]> {
  await fleet.sees(`max(botrunner_replicas_desired{${S}}) == 3`);
  const ids = namesInSegments(3);
  const { bots } = (await fleet.find(LEADS)).runtime;
  const documents = ids.map((_id) => ({ _id, image: "bot-runner/demo-bot:1", stopGraceSeconds: 1 }));
  await bots.insertMany([...documents, { _id: "unreadable", image: 5 }]);
  await fleet.sees(`${running} == 3`);
  await fleet.sees(`max(botrunner_replicas_desired{${S}}) == 4`);
  await fleet.sees(`max(botrunner_bots{${S}, state="invalid"}) == 1`);
  await bots.updateOne({ _id: ids[0] ?? "" }, { $set: { enabled: false } });
  await fleet.sees(`sum(botrunner_bot_exits_total{${S}, reason="stopped"}) == 1`);
  return ids;
}

/** It refuses a look at a container, and lets no event through. */
async function anEngineMisbehaves(fleet: ScrapedFleet, ids: readonly string[]): Promise<void> {
  const { runtime, fence } = await fleet.find(WORKS);
  const engines = (await fence.processes()).filter(({ name }) => /^(node|MainThread)/.test(name));
  const misbehave = () => engines.forEach(({ pid }) => process.kill(pid, "SIGUSR2"));
  misbehave();
  await runtime.bots.updateMany({ _id: { $in: [...ids] } }, { $set: { env: { DAY: "2" } } });
  await fleet.sees(`sum(botrunner_bot_faults_total{${S}}) > 0`);
  await fleet.sees(`sum(botrunner_engine_silent_streams_total{${S}}) > 0`);
  misbehave();
  await fleet.sees(`${running} == 2`);
}

async function mongoGoesAway(fleet: ScrapedFleet): Promise<void> {
  await fleet.relay.goAway();
  await fleet.sees(`max(botrunner_headless_seconds{${S}}) > 0`);
  await fleet.sees(`min(botrunner_store_up{${S}, store="mongodb"}) == 0`);
  await fleet.relay.comeBack();
  await fleet.sees(`max(botrunner_headless_seconds{${S}}) == 0`);
  await fleet.sees(`min(botrunner_store_up{${S}, store="mongodb"}) == 1`);
}

/** It is told to end, and whoever takes its segments over stands still for a moment; then it comes back. */
async function aWorkerEnds(fleet: ScrapedFleet): Promise<void> {
  const [source, leader] = [await fleet.find(WORKS), await fleet.find(LEADS)];
  const targets = fleet.pods.filter((pod) => pod !== source && pod !== leader);
  for (const { runtime } of targets) process.kill(runtime.pid, "SIGSTOP");
  const ended = source.runtime.stop();
  await fleet.sees(`max(botrunner_handover_oldest_seconds{${S}}) > 0`);
  for (const { runtime } of targets) process.kill(runtime.pid, "SIGCONT");
  await ended;
  await fleet.sees(`sum(botrunner_handover_gap_seconds_count{${S}}) > 0`);
  await fleet.sees(`${running} == 2`);
  await fleet.sees(`max(botrunner_workers_available{${S}}) == 1`);
  await source.runtime.spawn();
  await fleet.sees(`max(botrunner_workers_available{${S}}) == 2`);
}

/** Its fence kills its bots, the leader ends its session, and it comes back. */
async function aWorkerStandsStill(fleet: ScrapedFleet): Promise<void> {
  const [stuck, leader] = [await fleet.find(WORKS), await fleet.find(LEADS)];
  process.kill(stuck.runtime.pid, "SIGSTOP");
  await stuck.fence.until("down");
  // Whoever could take its segments stands still for a moment, so that they are seen without an owner.
  const others = fleet.pods.filter((pod) => pod !== stuck && pod !== leader);
  for (const { runtime } of others) process.kill(runtime.pid, "SIGSTOP");
  await fleet.sees(`max(botrunner_segments_orphaned{${S}}) > 0`);
  // That may have taken longer than a session lives without renewals, and a runtime that lost its session ends: a kubelet would start
  // it again.
  for (const { runtime } of [...others, stuck]) {
    await runtime.kill();
    await runtime.spawn();
  }
  await fleet.sees(`sum(botrunner_fence_trips_total{${S}, pod="${stuck.name}"}) == 1`);
  await fleet.sees(`${running} == 2`);
  await fleet.sees(`max(botrunner_workers_available{${S}}) == 2`);
}

async function theLeaderEnds(fleet: ScrapedFleet): Promise<void> {
  await (await fleet.find(LEADS)).runtime.stop();
  await fleet.sees(`count(botrunner_build_info{${S}}) == 2`);
  await fleet.sees(`sum(botrunner_leader{${S}}) == 1`);
}

async function somebodyElseScales(fleet: ScrapedFleet): Promise<void> {
  const { metadata, ...rest } = fleet.api.get("deployments", "runtime") ?? { metadata: { name: "runtime" } };
  const fieldsV1 = { "f:spec": { "f:replicas": {} } };
  const managedFields = [{ manager: "kubectl", operation: "Update", subresource: "scale", fieldsV1 }];
  fleet.api.put("deployments", { ...rest, metadata: { ...metadata, managedFields }, spec: { replicas: 5 } });
  await fleet.sees(`max(botrunner_foreign_scaler{${S}}) == 1`);
}
