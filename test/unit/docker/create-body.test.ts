import { expect } from "chai";
import type { BotSpec } from "../../../src/core/bot.ts";
import { createBody } from "../../../src/docker/create-body.ts";
import { parseLabels, writeLabels } from "../../../src/docker/labels.ts";
import type { StartOrder } from "../../../src/worker/ports.ts";
import { aSpec, bot, epoch, hash, segment, sid } from "../../support/builders.ts";

const MIB = 1024 * 1024;
const order = (over: Partial<BotSpec> = {}, id = "ticker"): StartOrder => ({
  bot: bot(id),
  spec: aSpec(over),
  hash: hash(),
  segment: segment(3),
  epoch: epoch(7),
  sid: sid(),
  why: "new",
});
const bodyOf = (over: Partial<BotSpec> = {}, json?: string, id?: string) =>
  createBody(order(over, id), { network: "botrunner", ...(json !== undefined && { config: { json, path: "/state/configs/f.json" } }) });

describe("createBody", () => {
  const cases: readonly { why: string; body: ReturnType<typeof bodyOf>; at: string; gives: unknown }[] = [
    { why: "the image's entry point stays", body: bodyOf(), at: "Entrypoint", gives: undefined },
    { why: "a command replaces it", body: bodyOf({ command: ["sh", "-c"] }), at: "Entrypoint", gives: ["sh", "-c"] },
    { why: "args replace the image's command", body: bodyOf({ args: ["x"] }), at: "Cmd", gives: ["x"] },
    { why: "the image's user stays", body: bodyOf(), at: "User", gives: undefined },
    { why: "a user is taken over", body: bodyOf({ security: { ...aSpec().security, user: "1:2" } }), at: "User", gives: "1:2" },
    {
      why: "the user's variables, then ours",
      body: bodyOf({ env: { A: "b=c" } }),
      at: "Env",
      gives: ["A=b=c", "BOT_ID=ticker", "BOT_SEGMENT=3", "BOT_EPOCH=7"],
    },
    { why: "a small config is a variable too", body: bodyOf({}, "{}"), at: "Env.3", gives: "BOT_CONFIG={}" },
    { why: "16 KiB is small", body: bodyOf({}, "x".repeat(16_384)), at: "Env.length", gives: 4 },
    { why: "more is not, in bytes", body: bodyOf({}, "ü".repeat(8_193)), at: "Env.length", gives: 3 },
    {
      why: "a config is a read-only file",
      body: bodyOf({}, "{}"),
      at: "HostConfig.Mounts",
      gives: [{ Type: "bind", Source: "/state/configs/f.json", Target: "/etc/bot/config.json", ReadOnly: true }],
    },
    { why: "no config, no file", body: bodyOf(), at: "HostConfig.Mounts", gives: undefined },
    { why: "user labels stay as they are", body: bodyOf({ labels: { team: "x" } }), at: "Labels.team", gives: "x" },
    { why: "ours win", body: bodyOf({ labels: { "botrunner.sid": "forged" } }), at: "Labels", gives: writeLabels(order()) },
    { why: "the grace is the daemon's default as well", body: bodyOf({ stopGraceSeconds: 42 }), at: "StopTimeout", gives: 42 },
    { why: "a short name is the host name", body: bodyOf({}, undefined, "ticker-1"), at: "Hostname", gives: "ticker-1" },
    { why: "any other is made safe and told apart", body: bodyOf({}, undefined, "My Bot!"), at: "Hostname", gives: "my-bot-bb6e53dd" },
    { why: "nothing safe in it", body: bodyOf({}, undefined, "🤖"), at: "Hostname", gives: "bot-b0d12518" },
    { why: "no swap", body: bodyOf({ resources: { memoryBytes: 64 * MIB, pids: 9 } }), at: "HostConfig.MemorySwap", gives: 64 * MIB },
    {
      why: "half is reserved",
      body: bodyOf({ resources: { memoryBytes: 64 * MIB, pids: 9 } }),
      at: "HostConfig.MemoryReservation",
      gives: 32 * MIB,
    },
    {
      why: "but no less than the Engine takes",
      body: bodyOf({ resources: { memoryBytes: 8 * MIB, pids: 9 } }),
      at: "HostConfig.MemoryReservation",
      gives: 6 * MIB,
    },
    { why: "no CPU limit", body: bodyOf(), at: "HostConfig.NanoCpus", gives: undefined },
    {
      why: "a CPU limit",
      body: bodyOf({ resources: { memoryBytes: 64 * MIB, pids: 9, nanoCpus: 5e8 } }),
      at: "HostConfig.NanoCpus",
      gives: 5e8,
    },
    { why: "all capabilities dropped", body: bodyOf(), at: "HostConfig.CapDrop", gives: ["ALL"] },
    {
      why: "those asked for added",
      body: bodyOf({ security: { readOnlyRootFilesystem: false, capabilities: ["CHOWN"] } }),
      at: "HostConfig.CapAdd",
      gives: ["CHOWN"],
    },
    { why: "never restarted by the daemon", body: bodyOf({ restart: "always" }), at: "HostConfig.RestartPolicy", gives: { Name: "no" } },
    { why: "a cgroup namespace of its own", body: bodyOf(), at: "HostConfig.CgroupnsMode", gives: "private" },
    { why: "no cgroup parent of ours", body: bodyOf(), at: "HostConfig.CgroupParent", gives: undefined },
    { why: "nothing published", body: bodyOf(), at: "HostConfig.PortBindings", gives: undefined },
    {
      why: "logs are bounded and never block the bot",
      body: bodyOf(),
      at: "HostConfig.LogConfig.Config",
      gives: { "max-size": "5m", "max-file": "2", mode: "non-blocking", "max-buffer-size": "1m" },
    },
  ];
  for (const { why, body, at, gives } of cases) {
    it(`${at}: ${why}`, () => {
      expect(at.split(".").reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], body)).to.deep.equal(
        gives,
      );
    });
  }

  it("has a host name of at most 63 characters, none of them unsafe", () => {
    for (const id of ["x".repeat(200), `-${"a".repeat(64)}-`, "ä".repeat(100), "..."])
      expect(bodyOf({}, undefined, id).Hostname).to.match(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
  });
});

describe("parseLabels", () => {
  const written = writeLabels(order());
  it("reads what writeLabels wrote", () => {
    expect(parseLabels(written)).to.deep.equal({
      bot: "ticker",
      segment: 3,
      epoch: 7,
      sid: "engine-1",
      spec: "spec-1",
      graceSeconds: 1,
      startedWhy: "new",
    });
  });

  for (const { why, labels } of [
    { why: "none at all", labels: null },
    { why: "a stranger's", labels: { team: "x" } },
    { why: "ours, but not marked", labels: { ...written, "botrunner.managed": "0" } },
    { why: "no bot", labels: { ...written, "botrunner.bot": "" } },
    { why: "an epoch that is no number", labels: { ...written, "botrunner.epoch": "7x" } },
    { why: "a negative segment", labels: { ...written, "botrunner.seg": "-1" } },
    { why: "an epoch beyond whole numbers", labels: { ...written, "botrunner.epoch": "9".repeat(20) } },
  ]) {
    it(`concludes nothing from: ${why}`, () => {
      expect(parseLabels(labels)).to.equal(undefined);
    });
  }
});
