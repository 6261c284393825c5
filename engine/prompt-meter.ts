/** Exact token counts for the tasks that generate samples. */
import type { TokenMeter } from '../suites/contract.js';
import { preparePrompt, templateOf } from './prompt.js';
import type { Tokenizer } from './tokenizer.js';

/** Texts whose count is kept; tasks measure the same sentences again and again while they fit a length. */
const keptCounts = 65_536;
/** Longer texts are whole contexts, which seldom repeat. */
const longestKeptText = 4_096;

/** After a single line end (runs of white space are cut by what follows), and before a space between a sentence's end and a capital: no tokenizer we know has a token across these. */
const seam = /(?<=\S\n)(?=\S)|(?<=[.!?])(?= \p{Lu})/u;
/** Between two words in small letters: cuts the first of a long text, so that only it is tokenised together with the template. */
const wordSeam = /(?<=\p{Ll})(?= \p{Ll})/u;
/** Texts on which a tokenizer must show that it counts the two sides of every seam apart. */
const seamProbes = [
  'One is here. Two is there! Is three? No.',
  'One of the keys: 1234.\nOne of the others is.\n"key": "value",\n"other": "1-a-2",\nVAR A = 12\nVAR B = VAR A',
  'one word after another é über ends 12 3 more',
  'The U.S. Army. Élan vital... And so on.\nÜber 12. Ähren.',
];

/** A piece cut from a context is a view of it: kept, it would keep the whole context in memory. */
const ownCopy = (piece: string): string => ` ${piece}`.slice(1);

/** `chatTemplate`: prompts are framed by the model's template, as the suite says; a sample may still be plain text. */
export function createTokenMeter(tokenizer: Tokenizer, chatTemplate: boolean): TokenMeter {
  const template = templateOf(tokenizer);
  let kept = new Map<string, number>();
  let keptBefore = new Map<string, number>();
  const keep = (text: string, measure: (text: string) => number): number => {
    const known = kept.get(text);
    if (known !== undefined) return known;
    const count = keptBefore.get(text) ?? measure(text);
    if (text.length <= longestKeptText) {
      // What was used since the last change stays: a text of more pieces than one table holds is not forgotten while it is fitted.
      if (kept.size >= keptCounts) {
        keptBefore = kept;
        kept = new Map();
      }
      kept.set(ownCopy(text), count);
    }
    return count;
  };
  const countOn = (text: string): number =>
    keep(text, (one) => tokenizer.countTokens(one, { specials: 'none', continues: true }));
  // What no space is put before counts the same on its own.
  const startsLikeGoesOn = seamProbes.every(
    (text) =>
      tokenizer.countTokens(text, { specials: 'none' }) ===
      tokenizer.countTokens(text, { specials: 'none', continues: true }),
  );
  const count = (text: string): number =>
    startsLikeGoesOn ? countOn(text) : tokenizer.countTokens(text, { specials: 'none' });

  const promptTokens = (parts: Parameters<TokenMeter['countPrompt']>[0], isFramed: boolean): number => {
    const prompt = preparePrompt(
      { ...parts, documents: [], evidence: [], chatTemplate: isFramed },
      tokenizer,
      template,
    );
    return prompt.contextIds.length + prompt.questionIds.length;
  };
  const isCutAt = (border: RegExp): boolean =>
    seamProbes.every((text) => countOn(text) === text.split(border).reduce((sum, piece) => sum + countOn(piece), 0));
  const hasSeams = isCutAt(seam) && isCutAt(wordSeam);
  /** The start of the context, which the template's tokens may reach into, and the pieces after it. */
  const piecesOf = (context: string): [string, ...string[]] => {
    const [first = '', ...rest] = context.split(seam);
    const at = first.length > longestKeptText ? first.search(wordSeam) : -1;
    return at < 0 ? [first, ...rest] : [first.slice(0, at), first.slice(at), ...rest];
  };
  return {
    tokenizer: tokenizer.name,
    count,
    countPrompt(sample) {
      const isFramed = chatTemplate && sample.chatTemplate !== false;
      // Special tokens written in the text may count as such without a template; they know no seams.
      const [head, ...rest] = hasSeams && isFramed ? piecesOf(sample.context) : [sample.context];
      let tokens = promptTokens({ ...sample, context: head! }, isFramed);
      for (const piece of rest) tokens += countOn(piece);
      return tokens;
    },
  };
}
