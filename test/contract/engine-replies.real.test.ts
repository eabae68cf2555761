import { expect } from "chai";
import recording from "../support/engine-replies.json" with { type: "json" };
import { recordEngine } from "../support/record-engine.ts";

const dockerHost = process.env["DOCKER_HOST"];

/** Kinds instead of values: what another engine words otherwise has the same shape. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (value === null || typeof value !== "object") return value === null ? "null" : typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, key === "status" ? inner : shapeOf(inner)]));
}

(dockerHost === undefined ? describe.skip : describe)("Engine replies: what the fake daemon says", function () {
  this.timeout(30_000);

  it("is what a real Docker Engine says, word for word where it is the recorded one", async () => {
    const { engine, replies } = await recordEngine(dockerHost ?? "");
    expect(shapeOf(replies)).to.deep.equal(shapeOf(recording.replies));
    if (engine === recording.engine) expect(replies).to.deep.equal(recording.replies);
  });
});
