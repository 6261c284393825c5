/** Exact token counts for the tasks that generate samples. */
import type { TokenMeter } from '../suites/contract.js';
import { preparePrompt, templateOf } from './prompt.js';
import type { Tokenizer } from './tokenizer.js';

/** Texts whose count is kept; tasks measure the same sentences again and again while they fit a length. */
const keptCounts = 16_384;
/** Longer texts are whole contexts, which seldom repeat. */
const longestKeptText = 4_096;

/** `chatTemplate`: prompts are framed by the model's template, as the suite says. */
export function createTokenMeter(tokenizer: Tokenizer, chatTemplate: boolean): TokenMeter {
  const template = templateOf(tokenizer);
  const kept = new Map<string, number>();
  return {
    tokenizer: tokenizer.name,
    count(text) {
      const before = kept.get(text);
      if (before !== undefined) return before;
      const count = tokenizer.encode(text, { specials: 'none' }).length;
      if (text.length <= longestKeptText) {
        if (kept.size >= keptCounts) kept.clear();
        kept.set(text, count);
      }
      return count;
    },
    countPrompt({ context, question, answerPrefix }) {
      const prompt = preparePrompt(
        { context, question, answerPrefix, documents: [], evidence: [], chatTemplate },
        tokenizer,
        template,
      );
      return prompt.contextIds.length + prompt.questionIds.length;
    },
  };
}
