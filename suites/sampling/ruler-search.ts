import { WinnowError } from '../../core/errors.js';
import type { TextSpan } from '../../methods/contract.js';
import type { TokenMeter } from '../contract.js';

/** One prompt as upstream's generator makes it. */
export interface RulerPrompt {
  readonly context: string;
  readonly question: string;
  readonly answerPrefix: string;
  readonly references: readonly string[];
  readonly evidence: readonly TextSpan[];
}

export interface RulerOrder {
  readonly task: string;
  /** Longest prompt in tokens, answer room included. */
  readonly length: number;
  readonly maxNewTokens: number;
  readonly seed: number;
  readonly meter: TokenMeter;
}

/** Tokens as upstream counts them: the text alone, against the length less the template's. */
export const rulerTokens = ({ length, meter }: Pick<RulerOrder, 'length' | 'meter'>) => {
  const template = meter.countPrompt({ context: '', question: '', answerPrefix: '' });
  return {
    maxTokens: length - template,
    count: (prompt: Pick<RulerPrompt, 'context' | 'question' | 'answerPrefix'>) => meter.countPrompt(prompt) - template,
  };
};

/**
 * Upstream's bisection for the largest number of haystack units that fits, `increment` if none does. Every probe makes a prompt and so
 * moves the random stream on: the samples depend on the tokenizer through it.
 */
export const bisectUnits = (increment: number, estimate: number, fits: (units: number) => boolean): number => {
  let low = increment;
  let high = Math.max(estimate, increment * 2);
  let best: number | undefined;
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) {
      best = middle;
      low = middle + 1;
    } else high = middle - 1;
  }
  return best ?? increment;
};

/** Makes one sample: units are taken away by `increment` until it fits. Where upstream would try for ever, throws ERR_SUITE. */
export const fittingPrompt = <T extends RulerPrompt>(
  { task, length }: Pick<RulerOrder, 'task' | 'length'>,
  units: number,
  increment: number,
  make: (units: number) => T,
  fits: (prompt: T) => boolean,
): T => {
  let used = units;
  let left = 1000;
  for (let prompt = make(used); ; prompt = make(used)) {
    if (fits(prompt)) return prompt;
    if (used > increment) used -= increment;
    else if (--left === 0)
      throw new WinnowError(
        'ERR_SUITE',
        `${task} with upstream's sampling`,
        `a length that holds ${increment} units of haystack`,
        length,
        'Use a longer length or the independent sampling.',
      );
  }
};

/** Lines joined by line ends, and where those in `marked` stand; `offset` is added to every span. */
export const joinLines = (
  lines: readonly string[],
  marked: ReadonlySet<number>,
  offset: number,
): { readonly text: string; readonly evidence: readonly TextSpan[] } => {
  const evidence: TextSpan[] = [];
  let at = offset;
  lines.forEach((line, i) => {
    if (marked.has(i)) evidence.push({ start: at, end: at + line.trimEnd().length });
    at += line.length + 1;
  });
  return { text: lines.join('\n'), evidence };
};
