/**
 * Columns as Go's text/tabwriter aligns them, because the tables and help pages of netctl have always been read by scripts.
 *
 * A tab ends a cell. What follows the last tab of a line is in no column. A column is a run of consecutive lines that have a cell
 * there, as wide as its widest cell and the padding; so one line without tabs begins all columns anew.
 */

export interface TabStyle {
  /** Blanks between two columns. */
  readonly padding: number;
  /** Fill up with tabs, whose stops are this far apart, instead of blanks. */
  readonly tabStop?: number;
}

/** @param text lines with tabs in them, each ended by a newline. */
export function alignTabs(text: string, style: TabStyle): string {
  const lines = text.split('\n').map((line) => line.split('\t'));
  const widths = columnWidths(lines, style);
  return lines
    .map((cells, i) =>
      cells
        .map((cell, j) => (j === cells.length - 1 ? cell : cell + fill(length(cell), widths[i]![j]!, style)))
        .join(''),
    )
    .join('\n');
}

/** For each line, how wide each of its columns is. */
function columnWidths(lines: readonly (readonly string[])[], { padding }: TabStyle): number[][] {
  const widths: number[][] = lines.map(() => []);
  const deepest = Math.max(...lines.map((cells) => cells.length - 1));
  for (let column = 0; column < deepest; column++) {
    for (let first = 0; first < lines.length; first++) {
      let end = first;
      let widest = 0;
      while (end < lines.length && lines[end]!.length - 1 > column) {
        widest = Math.max(widest, length(lines[end]![column]!) + padding);
        end++;
      }
      for (let line = first; line < end; line++) widths[line]!.push(widest);
      if (end > first) first = end;
    }
  }
  return widths;
}

function fill(used: number, width: number, { tabStop }: TabStyle): string {
  if (tabStop === undefined) return ' '.repeat(width - used);
  const stop = Math.ceil(width / tabStop) * tabStop;
  return '\t'.repeat(Math.ceil((stop - used) / tabStop));
}

/** Go counts code points. */
function length(text: string): number {
  let points = 0;
  for (const _ of text) points++;
  return points;
}
