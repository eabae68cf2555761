import { expect } from "chai";
import type { Box, FakeDaemon } from "../../support/fake-daemon.ts";
import { fakeWorld } from "../../support/fake-world.ts";
import { aDocument } from "../../support/fleet.ts";

describe("how a run ended, on a fake daemon", function () {
  this.timeout(60_000);

  for (const { why, end, code, oom, message } of [
    {
      why: "its first process was out of memory",
      end: (d: FakeDaemon, box: Box) => (d.tell("oom", box), d.end(box, 137, true)),
      code: 137,
      oom: "oom",
      message: "killed: out of memory",
    },
    {
      why: "a child was out of memory, and the bot ended by itself",
      end: (d: FakeDaemon, box: Box) => (d.tell("oom", box), d.end(box, 5, true)),
      code: 5,
      oom: "oom",
      message: "a process of it was killed: out of memory",
    },
    {
      why: "an event tells of it and the flag does not",
      end: (d: FakeDaemon, box: Box) => (d.tell("oom", box), d.end(box, 137)),
      code: 137,
      oom: "likely-oom",
      message: "probably killed: out of memory",
    },
    { why: "somebody sent SIGKILL", end: (d: FakeDaemon, box: Box) => d.end(box, 137), code: 137, oom: "no", message: "" },
  ] as const) {
    it(`tells ${oom}: ${why}`, async () => {
      await using w = await fakeWorld();
      await w.fleet.start(aDocument("a", { restart: "never" }));
      await w.untilRuns("a");
      end(w.daemon, w.box("a"));
      await w.until("it has failed", () => w.status("a")?.state === "failed");
      expect(w.runs()[0]).to.include({ exit: code, oom, endedWhy: "failed" });
      expect(w.status("a")?.lastExit).to.include({ code, oom });
      expect(w.status("a")?.message).to.equal(message);
    });
  }

  it("needs no help of a bot that ignores SIGTERM, and does not call its end one of memory", async () => {
    await using w = await fakeWorld();
    w.daemon.manner = "deaf";
    await w.fleet.start(aDocument("a"));
    await w.untilRuns("a");
    w.daemon.tell("oom", w.box("a"));
    w.fleet.store.putBot(aDocument("a", { enabled: false }));
    await w.until("it is stopped", () => w.status("a")?.state === "stopped");
    expect(w.runs()[0]).to.include({ exit: 137, oom: "no", endedWhy: "disabled" });
    expect(w.daemon.boxes.size).to.equal(0);
  });
});
