import { fit, oneLine, widthOf } from "./terminal.ts";

const GAP = "  ";
/** No column gets narrower than this, even if lines then wrap. */
const MIN_WIDTH = 8;

/** Lines up cells under their headers. `width`: columns of the terminal; without it nothing is cut. Cells are made
 *  safe for terminals. Ends with a line break; no headers: no header line. */
export function renderTable(headers: readonly string[], rows: readonly (readonly string[])[], width?: number): string {
  const lines = [...(headers.length > 0 ? [headers] : []), ...rows].map((cells) => cells.map(oneLine));
  if (lines.length === 0) return "";
  const count = Math.max(...lines.map((cells) => cells.length));
  const natural = Array.from({ length: count }, (_, i) => lines.reduce((most, cells) => Math.max(most, widthOf(cells[i] ?? "")), 0));
  const widths = width === undefined ? natural : shrink(natural, width);
  return lines
    .map(
      (cells) =>
        `${widths
          .map((w, i) => pad(fit(cells[i] ?? "", w), w))
          .join(GAP)
          .trimEnd()}\n`,
    )
    .join("");
}

/** Takes columns from the widest column until the line fits. */
function shrink(natural: readonly number[], width: number): number[] {
  const widths = [...natural];
  let over = widths.reduce((sum, w) => sum + w, 0) + GAP.length * (widths.length - 1) - width;
  while (over > 0) {
    const widest = Math.max(...widths);
    if (widest <= MIN_WIDTH) break;
    const next = Math.max(MIN_WIDTH, ...widths.filter((w) => w < widest));
    const i = widths.lastIndexOf(widest);
    const cut = Math.max(1, Math.min(over, widest - next));
    widths[i] = widest - cut;
    over -= cut;
  }
  return widths;
}

function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}
