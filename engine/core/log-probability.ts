/** Log-probability (natural log) of one token under softmax of logits [vocabSize], and the token that greedy decoding would choose. */
export const logProbability = (
  logits: Float32Array,
  token: number,
): { readonly logProbability: number; readonly greedy: number; readonly isGreedy: boolean } => {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  const peak = logits[best]!;
  // In double precision: 50 000 terms in single precision would cost the fourth digit of a perplexity.
  let total = 0;
  for (let i = 0; i < logits.length; i++) total += Math.exp(logits[i]! - peak);
  return { logProbability: logits[token]! - peak - Math.log(total), greedy: best, isGreedy: best === token };
};
