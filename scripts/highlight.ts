import type { TextSpan } from '../methods/contract.js';

/** What stands before and after a marked piece. */
export interface Marks {
  readonly start: string;
  readonly end: string;
}

/** The text with its spans marked; spans that touch or overlap are marked as one. */
export const highlight = (text: string, spans: readonly TextSpan[], { start, end }: Marks): string => {
  const sorted = [...spans].sort((a, b) => a.start - b.start);
  const pieces: string[] = [];
  let at = 0;
  for (let i = 0; i < sorted.length; ) {
    const first = sorted[i]!;
    let last = first.end;
    while (++i < sorted.length && sorted[i]!.start <= last) last = Math.max(last, sorted[i]!.end);
    pieces.push(text.slice(at, first.start), start, text.slice(first.start, last), end);
    at = last;
  }
  return pieces.join('') + text.slice(at);
};
