import { execFileSync } from "node:child_process";

import { expect } from "chai";

import { packTar } from "../../../scripts/lib/tar.ts";

const entries = [
  { path: "bin/", mode: 0o755 },
  { path: "bin/tool", mode: 0o755, data: Buffer.from("x".repeat(513)) },
  { path: "bin/link", mode: 0o777, link: "tool" },
];

describe("packTar()", () => {
  it("writes what tar reads", () => {
    const listed = execFileSync("tar", ["-tvf", "-"], { input: packTar(entries), encoding: "utf8", env: { ...process.env, TZ: "UTC" } });
    const lines = listed
      .trim()
      .split("\n")
      .map((line) => line.replaceAll(/ +/g, " "));
    expect(lines).to.deep.equal([
      "drwxr-xr-x 0/0 0 1970-01-01 00:00 bin/",
      "-rwxr-xr-x 0/0 513 1970-01-01 00:00 bin/tool",
      "lrwxrwxrwx 0/0 0 1970-01-01 00:00 bin/link -> tool",
    ]);
  });
  it("gives the same bytes for the same entries", () => {
    expect(packTar(entries).equals(packTar(entries))).to.equal(true);
  });
  it("refuses a path that the format cannot hold", () => {
    expect(() => packTar([{ path: "x".repeat(101), mode: 0o644 }])).to.throw(RangeError);
  });
});
