import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { FenceFile } from "../../../src/process/fence-file.ts";

describe("process/fence-file: what the fence says of its Engine", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp("/dev/shm/br-ground-");
  });
  afterEach(() => rm(dir, { recursive: true }));
  const ground = async (text: string) => {
    await writeFile(join(dir, "engine"), text);
    return new FenceFile(dir).readGround();
  };

  it("is nothing before there was an Engine", () => expect(new FenceFile(dir).readGround()).to.equal(undefined));

  it("is where bots lie and what they cannot reach", async () => {
    expect(await ground("cgroup v2 /kubepods/pod1/c/bots\ndenied 169.254.0.0/16 fd00:ec2::254\nports 8080 9090\n")).to.deep.equal({
      cgroup: { version: "v2", parent: "/kubepods/pod1/c/bots" },
      denied: ["169.254.0.0/16", "fd00:ec2::254"],
      ports: [8080, 9090],
    });
  });

  it("is why they do not lie in the pod's cgroup", async () => {
    expect(await ground("cgroup v1 - it is read-only\ndenied 169.254.0.0/16\nports\n")).to.deep.equal({
      cgroup: { version: "v1", why: "it is read-only" },
      denied: ["169.254.0.0/16"],
      ports: [],
    });
  });

  it("is nothing where it makes no sense", async () => expect(await ground("cgroup\n")).to.equal(undefined));

  it("lies in memory or not", async () => {
    expect(await new FenceFile(dir).isMemory()).to.equal(true);
    expect(await new FenceFile("/proc").isMemory()).to.equal(false);
  });
});
