/** Which of the known words was probably meant. */

/** Edits (insert, delete, replace one character, swap two) that turn one word into the other: the optimal string alignment distance. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? before[j - 2]! + 1 : Number.POSITIVE_INFINITY;
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, replaced, swapped));
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}

/**
 * The known words that are like the given one, nearest first: with up to a third of its letters wrong, or with it as their
 * beginning or a part of them.
 *
 * @param most how many at most.
 */
export function nearest(word: string, known: Iterable<string>, most = 3): string[] {
  const wanted = word.toLowerCase();
  const tolerance = Math.max(1, Math.floor(word.length / 3));
  const ranked: { readonly name: string; readonly rank: number }[] = [];
  for (const name of new Set(known)) {
    const candidate = name.toLowerCase();
    const contained = wanted.length >= 3 && candidate.includes(wanted);
    const longer = Math.abs(candidate.length - wanted.length) > tolerance;
    const edits = longer ? Number.POSITIVE_INFINITY : distance(wanted, candidate);
    if (edits <= tolerance) ranked.push({ name, rank: edits });
    else if (contained) ranked.push({ name, rank: tolerance + 1 });
  }
  ranked.sort((a, b) => a.rank - b.rank || a.name.localeCompare(b.name, 'en'));
  return ranked.slice(0, most).map(({ name }) => name);
}
