import { MOST_BATCH_ROWS } from '../engine/core/largest-batch.js';
import type { Protocol } from '../methods/contract.js';
import { engineFlags } from './engine-flags.js';
import { batchSizes, choice, choices, fractions, json, lengths, memory, names, text, whole, wholes } from './flags.js';

const protocols = ['query-aware', 'query-agnostic'] as const satisfies readonly Protocol[];
const passes = ['accuracy', 'timing', 'both'] as const;
export type Pass = (typeof passes)[number];

/** What narrows or changes a suite: the flags of `run` and `plan`, so that a plan is the plan of that run. */
export const suiteFlags = {
  model: text("Another model than the suite's: a manifest name, a GGUF file or a Hugging Face folder.", 'M'),
  method: names('Only these methods; ./file.ts is one of your own. dense always runs beside them.', 'NAME'),
  task: names('Only these tasks of the suite.', 'NAME'),
  length: lengths('Only these lengths, or others, in tokens.'),
  keptFraction: fractions("Budgets as fractions of the context kept, instead of the suite's."),
  tokenBudget: wholes("Budgets in context tokens kept, instead of the suite's.", 'N', 1),
  protocol: choices(
    "query-aware: compression sees the question; query-agnostic: it does not. Default: the suite's.",
    protocols,
  ),
  samples: whole('Samples that each generated task makes.', 'N', 1),
  limit: whole('Cap on the samples of each cell.', 'N', 1),
  seed: whole("Seed of samples and random controls. Default: the suite's.", 'N', 0),
  superiority: names('Methods claimed, before the run, to be better: only they may be called better after it.', 'NAME'),
  pass: choice(
    'accuracy shares prefills and takes no times; timing measures times, interleaved. Default accuracy.',
    passes,
  ),
  batch: batchSizes(
    "timing: decode steps of so many rows of each setting, 1 to 64; largest: as many as fit. Default: the suite's.",
    MOST_BATCH_ROWS,
  ),
  memory: memory("What the largest batch has to fit. Default: nine tenths of the device's own."),
  chatTemplate: choice(
    "on: the model's chat template frames the prompts; off: plain text, for base models. Default: the suite's.",
    ['on', 'off'],
  ),
  ...engineFlags,
  json,
} as const;
