/** BPE merges of a SentencePiece vocabulary, which stores scores instead: the higher score merges first. */

/**
 * Every way to cut a token into two tokens is a merge, ranked by the token's score. At equal scores the cut with the longer left
 * part comes first, as in the usual conversion to `tokenizer.json`. Tokens in `skip` (control tokens, bytes) take no part.
 * Cost: one look-up per cut of each token.
 */
export function mergesFromScores(
  tokens: readonly string[],
  scores: ArrayLike<number>,
  skip: (id: number) => boolean,
): [string, string][] {
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    if (!skip(id)) ids.set(token, id);
  });
  const ranked: { readonly pair: [string, string]; readonly score: number }[] = [];
  for (const [token, id] of ids) {
    const cuts: { readonly pair: [string, string]; readonly left: number; readonly right: number }[] = [];
    for (let at = 1; at < token.length; at++) {
      if (isInsideCharacter(token, at)) continue;
      const pair: [string, string] = [token.slice(0, at), token.slice(at)];
      const left = ids.get(pair[0]);
      const right = ids.get(pair[1]);
      if (left !== undefined && right !== undefined) cuts.push({ pair, left, right });
    }
    cuts.sort((a, b) => a.left - b.left || a.right - b.right);
    for (const { pair } of cuts) ranked.push({ pair, score: scores[id] ?? Number.NEGATIVE_INFINITY });
  }
  return ranked
    .sort((a, b) => compareScores(a.score, b.score) || b.pair[0].length - a.pair[0].length)
    .map(({ pair }) => pair);
}

const compareScores = (a: number, b: number): number => (a === b || Number.isNaN(a - b) ? 0 : b - a);

const isInsideCharacter = (text: string, at: number): boolean => {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff;
};
