/** Edits between two words: insert, delete, replace one letter, swap two neighbours. */
const editDistance = (from: string, to: string): number => {
  const rows = [Array.from({ length: to.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      row[j] = Math.min(replaced, rows[i - 1]![j]! + 1, row[j - 1]! + 1);
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (isSwap) row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1);
    }
    rows.push(row);
  }
  return rows[from.length]![to.length]!;
};

/** The known name that `word` most likely meant: a few slips of the fingers away, or begun by it. Undefined when none is near. */
export const nearestName = (word: string, names: readonly string[]): string | undefined => {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3));
  for (const name of names) {
    const distance = editDistance(word.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance || (distance === bestDistance && best === undefined)) {
      best = name;
      bestDistance = distance;
    }
  }
  return best ?? (word.length >= 3 ? names.find((name) => name.startsWith(word)) : undefined);
};

/** The fix of an error about an unknown name: the near name, or all there is. */
export const suggestName = (word: string, names: readonly string[]): string => {
  const near = nearestName(word, names);
  return near === undefined ? `Known: ${[...names].sort().join(', ')}.` : `Did you mean ${near}?`;
};
