import { ModelElection } from "../support/model-election.ts";
import { electionContract } from "./election.suite.ts";

describe("Election contract: model", () => {
  let election: ModelElection;
  beforeEach(() => {
    election = new ModelElection();
  });
  electionContract(() => election);
});
