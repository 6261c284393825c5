import { z } from 'zod';
import { createRandom, type Random } from '../../core/random.js';
import { defineTask, sampleOf } from './define-task.js';
import { fillHaystack } from './fill-haystack.js';
import type { HaystackUnits } from './haystack.js';
import { DEPTHS, type Needle } from './insert-needles.js';
import { wordsApart } from './word-lists.js';

export interface GrammarParams {
  /** Words that have one meaning: each leads to several ambiguous ones. */
  readonly plain: number;
  /** Words whose successor depends on the plain word before them. */
  readonly ambiguous: number;
  /** Hidden states of an ambiguous word: the plain words that may stand before it, each with a successor of its own. */
  readonly ambiguityDepth: number;
  /** Most filler words put between two words of the grammar, 0 to this many at random. */
  readonly gap: number;
  /** Lines of the text that show what is asked for. */
  readonly shown: number;
}

/**
 * Grammar with hidden states (SelectivBench, arXiv 2601.12598): lines follow an artificial grammar in which an ambiguous word goes on in a
 * way that only the word before it decides, across gaps of filler words that mean nothing; the last line has to be continued.
 *
 * From upstream: ambiguous symbols with several hidden states, gaps of distractors, symbols without meaning. Ours: it is asked in context
 * instead of trained; plain and ambiguous words take turns and only plain words have several successors, so that the answer is unique;
 * fillers are words of their own. Chance: one in `ambiguityDepth` for whoever sees the last word only.
 */
export const grammar = defineTask<GrammarParams>({
  id: 'grammar',
  family: 'recall',
  description:
    'The word that continues a line of an artificial grammar, by the word before the last, across filler words.',
  source: {
    title: 'Dissecting Linear Recurrent Models: How Different Gating Strategies Drive Selectivity and Generalization',
    arxiv: '2601.12598',
    url: 'https://github.com/symseqbench/selectivbench',
    licence: 'generated here (upstream: MIT)',
  },
  version: 1,
  scorer: 'first-named',
  maxNewTokens: 6,
  chance: ({ ambiguityDepth }) => 1 / ambiguityDepth,
  parameters: z
    .strictObject({
      plain: z.int().min(2).max(64).default(8),
      ambiguous: z.int().min(1).max(64).default(4),
      ambiguityDepth: z.int().min(1).max(16).default(2),
      gap: z.int().min(0).max(10).default(0),
      shown: z.int().min(1).max(DEPTHS.length).default(4),
    })
    .superRefine(({ plain, ambiguityDepth }, context) => {
      if (ambiguityDepth > plain)
        context.addIssue({ code: 'custom', path: ['ambiguityDepth'], message: `at most plain (${plain})` });
    }),
  makeSample(order) {
    const { params, length, seed, index } = order;
    const random = createRandom(seed, 'grammar', length, index);
    const rules = makeGrammar(params, random);
    const asked = random.pick(rules.transitions);
    const depths = random.sample(DEPTHS, params.shown);
    const needles = depths.map((depth): Needle => {
      const shown = spaced([asked.from, asked.via, asked.to], rules, params.gap, random);
      const rest = spaced(walk(rules, asked, asked.to, random), rules, params.gap, random);
      return { text: [shown, rest].filter((part) => part !== '').join(' '), depth, isEvidence: true };
    });
    const { haystackUnits, evidence, ...prompt } = fillHaystack('grammar', order, {
      head: HEAD,
      units: lines(rules, asked, params.gap, createRandom(seed, 'grammar lines', length, index)),
      needles,
      question: QUESTION,
      answerPrefix: spaced([asked.from, asked.via], rules, params.gap, random),
    });
    // The line goes on after what it shows.
    const shown = evidence.map(({ start, end }) => {
      const to = new RegExp(`\\b${asked.to}\\b`).exec(prompt.context.slice(start, end))!;
      return { start, end: start + to.index + asked.to.length };
    });
    const meta = { gap: params.gap, ambiguityDepth: params.ambiguityDepth, shown: params.shown, haystackUnits };
    return { ...sampleOf({ ...prompt, evidence: shown, references: [asked.to] }, meta), classes: rules.words };
  },
});

const HEAD = 'Each line below follows the same hidden rules about which word comes next.\n';
const QUESTION = '\nBy the same rules, which word comes next in this line?';

interface Transition {
  readonly from: string;
  readonly via: string;
  readonly to: string;
}

interface Grammar {
  readonly words: readonly string[];
  readonly fillers: readonly string[];
  readonly transitions: readonly Transition[];
}

const FILLERS = 6;
/** Transitions of a line at most. */
const LINE_STEPS = 4;

const makeGrammar = ({ plain, ambiguous, ambiguityDepth }: GrammarParams, random: Random): Grammar => {
  const all = wordsApart(plain + ambiguous + FILLERS, random, HEAD + QUESTION);
  const words = all.slice(0, plain + ambiguous);
  const starts = words.slice(0, plain);
  const transitions = words.slice(plain).flatMap((via) => {
    const before = random.sample(starts, ambiguityDepth);
    let after = random.sample(starts, ambiguityDepth);
    while (after.some((word, i) => word === before[i])) after = random.sample(starts, ambiguityDepth);
    return before.map((from, i): Transition => ({ from, via, to: after[i]! }));
  });
  return { words, fillers: all.slice(plain + ambiguous), transitions };
};

/** What may follow the plain word `start`, without the asked transition; empty where nothing does. */
const walk = ({ transitions }: Grammar, asked: Transition, start: string, random: Random): string[] => {
  const words: string[] = [];
  let at = start;
  for (let step = 0; step < LINE_STEPS; step++) {
    const open = transitions.filter((one) => one !== asked && one.from === at);
    if (open.length === 0) break;
    const { via, to } = random.pick(open);
    words.push(via, to);
    at = to;
  }
  return words;
};

/** Lines that start anywhere; memory grows with the lines read. */
const lines = (rules: Grammar, asked: Transition, gap: number, random: Random): HaystackUnits => {
  const made: string[] = [];
  const others = rules.transitions.filter((one) => one !== asked);
  return {
    separator: '\n',
    unit: (index) => {
      while (made.length <= index) {
        const { from, via, to } = random.pick(others);
        made.push(spaced([from, via, to, ...walk(rules, asked, to, random)], rules, gap, random));
      }
      return made[index]!;
    },
  };
};

/** Words with up to `gap` fillers after each but the last. */
const spaced = (words: readonly string[], { fillers }: Grammar, gap: number, random: Random): string =>
  words
    .flatMap((word, i) => {
      const count = i + 1 < words.length ? random.integer(0, gap) : 0;
      return [word, ...Array.from({ length: count }, () => random.pick(fillers))];
    })
    .join(' ');
