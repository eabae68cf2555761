import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { deploymentUidOf } from "../../../src/process/kept-names.ts";
import { ReadyLatch } from "../../../src/process/ready-latch.ts";

describe("what a pod's memory keeps from one process to the next", () => {
  let dir: string;
  beforeEach(async () => (dir = await mkdtemp(join(tmpdir(), "pod-"))));
  afterEach(() => rm(dir, { recursive: true }));

  it("process/ready-latch: set once, set for every later process of the pod", () => {
    const first = new ReadyLatch(dir);
    expect(first.isSet).to.equal(false);
    first.set();
    expect([first.isSet, new ReadyLatch(dir).isSet]).to.deep.equal([true, true]);
  });
  it("process/ready-latch: set for this process alone where nothing lives longer", () => {
    const first = new ReadyLatch(undefined);
    first.set();
    expect([first.isSet, new ReadyLatch(undefined).isSet]).to.deep.equal([true, false]);
  });

  it("process/kept-names: asks once, and then never again", async () => {
    expect(await deploymentUidOf(dir, async () => "u-1")).to.equal("u-1");
    expect(await deploymentUidOf(dir, () => Promise.reject(new Error("away")))).to.equal("u-1");
  });
  it("process/kept-names: asks again where a process died writing", async () => {
    await writeFile(join(dir, "deployment-uid"), "u");
    expect(await deploymentUidOf(dir, async () => "u-1")).to.equal("u-1");
  });
});
