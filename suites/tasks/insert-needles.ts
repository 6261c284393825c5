import type { TextSpan } from '../../methods/contract.js';
import type { HaystackUnits } from './haystack.js';

/** Places for needles in percent of the haystack, as in RULER: 40 values from 0 to 100. */
export const DEPTHS: readonly number[] = Array.from({ length: 40 }, (_, i) => Math.round((i * 100) / 39));

export interface Needle {
  readonly text: string;
  /** Percent of the units before it. */
  readonly depth: number;
  /** Whether the answer needs it. */
  readonly isEvidence: boolean;
}

/**
 * The first `count` units with the needles between them: a needle of depth d comes after unit ⌊count·d/100⌋; needles of one place keep
 * their order. Evidence spans are UTF-16 offsets into `head` + text, in reading order.
 */
export const insertNeedles = (
  head: string,
  units: HaystackUnits,
  count: number,
  needles: readonly Needle[],
): { readonly text: string; readonly evidence: readonly TextSpan[] } => {
  const sorted = [...needles].sort((a, b) => a.depth - b.depth);
  const pieces: string[] = [];
  const evidence: TextSpan[] = [];
  let offset = head.length;
  const add = (piece: string): TextSpan => {
    const start = pieces.length === 0 ? offset : offset + units.separator.length;
    pieces.push(piece);
    offset = start + piece.length;
    return { start, end: offset };
  };
  let next = 0;
  for (const { text, depth, isEvidence } of sorted) {
    const place = Math.floor((count * depth) / 100);
    while (next < place) add(units.unit(next++));
    const span = add(text);
    if (isEvidence) evidence.push(span);
  }
  while (next < count) add(units.unit(next++));
  return { text: head + pieces.join(units.separator), evidence };
};
