// The product where users run it: installed by its chart into a real cluster.
import { expect } from "chai";

import { ClusterFleet } from "../../scripts/lib/cluster/fleet.ts";
import { manyPods } from "./many-pods.ts";
import { plainManifest } from "./plain-manifest.ts";
import { realEngines } from "./real-engines.ts";
import { refusals } from "./refusals.ts";
import { rollouts } from "./rollouts.ts";
import { upgrades } from "./upgrades.ts";

describe("the product in a cluster", function () {
  this.timeout(300_000);
  let fleet: ClusterFleet;
  before(async () => {
    fleet = await ClusterFleet.up();
  });
  after(() => fleet?.down());
  // Whatever a test was about: this is the promise.
  afterEach(async () => expect(await fleet.duplicates()).to.deep.equal([]));

  realEngines(() => fleet);
  manyPods(() => fleet);
  rollouts(() => fleet);
  refusals(() => fleet);
  upgrades(() => fleet);
  plainManifest(() => fleet);
});
