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
/** Texts on which a tokenizer must show that it counts the two sides of every seam apart. */
const seamProbes = [
  'One is here. Two is there! Is three? No.',
  'One of the keys: 1234.\nOne of the others is.\n"key": "value",\n"other": "1-a-2",\nVAR A = 12\nVAR B = VAR A',
  'The U.S. Army. Élan vital... And so on.\nÜber 12. Ähren.',
];

/** `chatTemplate`: prompts are framed by the model's template, as the suite says; a sample may still be plain text. */
export function createTokenMeter(tokenizer: Tokenizer, chatTemplate: boolean): TokenMeter {
  const template = templateOf(tokenizer);
  const kept = new Map<string, number>();
  const keep = (text: string, measure: (text: string) => number): number => {
    const before = kept.get(text);
    if (before !== undefined) return before;
    const count = measure(text);
    if (text.length <= longestKeptText) {
      if (kept.size >= keptCounts) kept.clear();
      kept.set(text, count);
    }
    return count;
  };
  const count = (text: string): number => keep(text, (one) => tokenizer.encode(one, { specials: 'none' }).length);
  const countOn = (text: string): number => tokenizer.encode(text, { specials: 'none', continues: true }).length;

  const promptTokens = (parts: Parameters<TokenMeter['countPrompt']>[0], isFramed: boolean): number => {
    const prompt = preparePrompt(
      { ...parts, documents: [], evidence: [], chatTemplate: isFramed },
      tokenizer,
      template,
    );
    return prompt.contextIds.length + prompt.questionIds.length;
  };
  const hasSeams = seamProbes.every(
    (text) => countOn(text) === text.split(seam).reduce((sum, piece) => sum + countOn(piece), 0),
  );
  return {
    tokenizer: tokenizer.name,
    count,
    countPrompt(sample) {
      const isFramed = chatTemplate && sample.chatTemplate !== false;
      // Special tokens written in the text may count as such without a template; they know no seams.
      const [head = '', ...rest] = hasSeams && isFramed ? sample.context.split(seam) : [sample.context];
      let tokens = promptTokens({ ...sample, context: head }, isFramed);
      for (const piece of rest) tokens += keep(`\0${piece}`, () => countOn(piece));
      return tokens;
    },
  };
}
