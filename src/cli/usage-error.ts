/** What commander says about a wrong command line, in the words of every other error: what failed, and what to do next. */

/** @param otherwise what to do next, where there is nothing that may have been meant. */
export function usageError(text: string, otherwise = 'See what there is with: berth --help'): string {
  const sentence = text.trim().replace(/^error: /, '');
  const [what, suggestion] = sentence.split('\n') as [string, string?];
  const meant = suggestion?.match(/\(Did you mean (?:one of )?(.*)\?\)/)?.[1];
  return `berth: ${what}\n  next: ${meant === undefined ? otherwise : `Did you mean ${meant}?`}\n`;
}
