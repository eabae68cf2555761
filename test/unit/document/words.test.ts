import { expect } from "chai";
import * as fc from "fast-check";
import { imageFault } from "../../../src/document/image-reference.ts";
import { editDistance, nearest } from "../../../src/document/nearest.ts";

const sha = `sha256:${"a".repeat(64)}`;
const good = [
  "a",
  "nginx",
  "nginx:1.27",
  "library/nginx",
  "ghcr.io/x/y:z",
  "localhost/x",
  "localhost:5000/x/y",
  "127.0.0.1:5000/a",
  "[::1]:5000/a",
  `a@${sha}`,
  `r.io/a_b/c--d:1@${sha}`,
  "bot-runner/demo-bot:1",
  "a__b",
  "Registry.Example.com/a",
];
const bad: readonly (readonly [string, string])[] = [
  ["", "empty"],
  ["A", "lower case"],
  ["nginx:", "tag"],
  ["nginx:-x", "tag"],
  [`nginx:${"x".repeat(129)}`, "tag"],
  ["https://ghcr.io/x", "scheme"],
  ["a b", "spaces"],
  ["a@sha256:12", "digest"],
  [`a@${sha}@${sha}`, "digest"],
  ["a//b", "name such as"],
  ["/a", "name such as"],
  ["a..b", "name such as"],
  ["-a.io/b", "host name"],
  ["a.io:99999999/b", "host name"],
  ["x".repeat(600), "512"],
  ["x".repeat(300), "255"],
];

describe("imageFault()", () => {
  for (const image of good) it(`takes ${image.slice(0, 40)}`, () => expect(imageFault(image)).to.equal(undefined));
  for (const [image, says] of bad) it(`refuses "${image.slice(0, 40)}": ${says}`, () => expect(imageFault(image)).to.include(says));
  it("has a verdict for every text, soon", () =>
    fc.assert(
      fc.property(fc.string({ maxLength: 600, unit: "grapheme" }), (text) => void expect(imageFault(text)?.length).to.not.equal(0)),
    ));
});

describe("nearest()", () => {
  const words = ["command", "args", "env", "image", "stopGraceSeconds"];
  for (const [given, gives] of [
    ["comand", "command"],
    ["commnad", "command"],
    ["arg", "args"],
    ["evn", "env"],
    ["imgae", "image"],
    ["stopGraceSecond", "stopGraceSeconds"],
    ["x", undefined],
    ["cmd", undefined],
  ] as const)
    it(`takes ${given} for ${gives ?? "nothing"}`, () => expect(nearest(given, words)).to.equal(gives));
  it("is a distance", () =>
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        expect(editDistance(a, b)).to.equal(editDistance(b, a));
        expect(editDistance(a, b) === 0).to.equal(a === b);
      }),
    ));
});
