/** Pieces of Markdown. */

/** Text for a cell of a table: one line, and no bar that would end the cell. */
function cell(text: string): string {
  return text.replaceAll('\n', ' ').replaceAll('|', '\\|');
}

export function markdownTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |\n`;
  return line(titles) + line(titles.map(() => '---')) + rows.map(line).join('');
}

export const generatedNote = '<!-- Made from the code by `make docs`. Change the code, not this page. -->\n';
