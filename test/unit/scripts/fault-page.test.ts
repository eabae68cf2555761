import { expect } from "chai";

import { withPart } from "../../../scripts/faults/page.ts";

describe("withPart()", () => {
  const page = withPart("# Faults\n\none\n", "cluster", "# In Kubernetes\n\ntwo\n");

  it("adds the part on Kubernetes to a page that has none", () => {
    expect(page).to.match(/^# Faults\n\none\n\n<!-- .* -->\n\n# In Kubernetes\n\ntwo\n$/);
  });

  it("puts a part in place of the one that is there, and leaves the other as it is", () => {
    expect(withPart(page, "cluster", "new\n")).to.equal(page.replace("# In Kubernetes\n\ntwo", "new"));
    expect(withPart(page, "processes", "new\n")).to.equal(page.replace("# Faults\n\none", "new"));
  });

  it("leaves a page without Kubernetes without it", () => {
    expect(withPart("old\n", "processes", "new\n")).to.equal("new\n");
  });
});
