/** Which documents an answer names, against those that are needed. Every id stands in `classes`, the needed ones are the references. */
import type { Scorer } from '../contract.js';

/** F1 of the named ids; 1 when none is needed and none is named. */
export const evidenceF1: Scorer = (prediction, { references, classes = references }) => {
  const named = idsNamed(prediction, classes);
  if (references.length === 0) return named.size === 0 ? 1 : 0;
  const right = references.filter((id) => named.has(id)).length;
  return (2 * right) / (named.size + references.length);
};

/** Share of the needed ids that are named, whatever else is. */
export const evidenceIdRecall: Scorer = (prediction, { references, classes = references }) => {
  const named = idsNamed(prediction, classes);
  return references.length === 0
    ? Number(named.size === 0)
    : references.filter((id) => named.has(id)).length / references.length;
};

/**
 * Ids named in a text: those that stand in it whole, without regard to case. Where all ids are one word and a number (`Document 7`), a
 * number alone names its document too, as in `Documents 3 and 7`.
 */
export const idsNamed = (text: string, ids: readonly string[]): Set<string> => {
  const named = new Set<string>();
  const numbers = ids.map((id) => /^(.*\D)(\d+)$/.exec(id));
  const isNumbered = numbers.every((match) => match !== null && match[1] === numbers[0]?.[1]);
  if (isNumbered) {
    const said = new Set([...text.matchAll(/\d+/g)].map(([number]) => Number(number)));
    ids.forEach((id, i) => {
      if (said.has(Number(numbers[i]![2]))) named.add(id);
    });
    return named;
  }
  for (const id of ids) {
    const escaped = id.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    if (new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])`, 'iu').test(text)) named.add(id);
  }
  return named;
};
