/** Unicode composition (NFC) of text before it is tokenised, with the way back to the characters that were written. */

export interface NormalisedText {
  readonly text: string;
  /** Where the original character behind a character of `text` begins, and where it ends; undefined: the text is unchanged. */
  readonly starts: Int32Array | undefined;
  readonly ends: Int32Array | undefined;
}

/** Text that is composed already, as nearly all is, comes back as it is. */
export function composed(text: string): NormalisedText {
  const whole = text.normalize('NFC');
  if (whole === text) return { text, starts: undefined, ends: undefined };
  const starts = new Int32Array(whole.length);
  const ends = new Int32Array(whole.length);
  let at = 0;
  let from = 0;
  for (const piece of independentPieces(text)) {
    const length = piece.normalize('NFC').length;
    starts.fill(from, at, at + length);
    ends.fill(from + piece.length, at, at + length);
    at += length;
    from += piece.length;
  }
  return { text: whole, starts, ends };
}

/** Cuts text so that composing the pieces one by one gives the composition of the whole. */
function independentPieces(text: string): string[] {
  const pieces: string[] = [];
  // A mark joins what stands before it; a few letters do too (vowels of Hangul), which only trying shows.
  for (const [character] of text.matchAll(/.\p{M}*/gsu)) {
    const last = pieces.at(-1);
    if (last !== undefined && joins(last, character)) pieces[pieces.length - 1] = last + character;
    else pieces.push(character);
  }
  return pieces;
}

const joins = (before: string, after: string): boolean =>
  after.charCodeAt(0) > 0x7f && (before + after).normalize('NFC') !== before.normalize('NFC') + after.normalize('NFC');
