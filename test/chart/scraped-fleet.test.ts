import { expect } from "chai";

import { withSelector } from "../../scripts/lib/dashboard.ts";
import { DASHBOARD_ROWS } from "../../scripts/lib/dashboard-rows.ts";
import { liveThroughAnEventfulDay } from "../support/eventful-day.ts";
import { RECORDS } from "../support/rules.ts";
import { ScrapedFleet, SELECTOR } from "../support/scraped-fleet.ts";

describe("the dashboard over a Prometheus that scrapes a fleet", function () {
  // A day takes one minute. Each of its waits has a limit of its own, and says what it waited for.
  this.timeout(180_000);
  let fleet: ScrapedFleet | undefined;

  before(async function () {
    if (process.env.DOCKER_HOST === undefined || process.env.MONGO_URI === undefined) this.skip();
    fleet = await ScrapedFleet.open();
    await liveThroughAnEventfulDay(fleet);
  });
  after(() => fleet?.close());

  /** Every value of each series; Prometheus' own words, so that "NaN" and then a number is a change. */
  const ask = async (expr: string) => (await (fleet as ScrapedFleet).prometheus.range(expr)).map(({ values }) => new Set(values));

  for (const { title: row, panels } of DASHBOARD_ROWS)
    for (const { title, queries } of panels)
      it(`shows what moves in ${row}: ${title}`, async () => {
        let moving = 0;
        for (const { expr } of queries) {
          const asked = withSelector(expr, SELECTOR).replaceAll("$__rate_interval", "10s");
          const series = await ask(asked);
          expect(series, asked).to.not.deep.equal([]);
          moving += series.filter((values) => values.size > 1).length;
        }
        expect(moving, "series with more than one value").to.be.above(0);
      });

  for (const { record } of RECORDS)
    it(`records ${record} under the release's own labels`, async () => {
      expect(await ask(`${record}{${SELECTOR}}`)).to.not.deep.equal([]);
    });
});
