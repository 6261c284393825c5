import { WinnowError } from '../../core/errors.js';
import type { ContinuationScore, ScoreOutcome, ScoreRequest } from '../contract.js';
import type { EvaluateContext } from './evaluate.js';
import { tailOf } from './fed-prompt.js';
import { promptOf } from './generate.js';
import { createGroup, type Group } from './group.js';
import { logProbability } from './log-probability.js';
import { forkBooks, type Row } from './rows.js';
import { answerContext, type ModelContext, openSample } from './sample.js';
import { bindMethod, requireDocuments, resolveSetting } from './settings.js';
import { runStep } from './step.js';

/** Continuations fed as one batch. */
const MOST_ROWS = 32;

/**
 * Log-probabilities of given continuations after a prompt, under one setting. The prompt is prefilled and compressed once; each
 * continuation goes on from a copy-on-write fork of its cache and state, token by token as in decoding, so that methods that act in
 * decode steps act here too, and a continuation's numbers are those of generating it. Throws ERR_USAGE for an empty continuation.
 */
export const scoreContinuations = async (
  context: EvaluateContext,
  request: ScoreRequest,
  encode: { prompt(text: string): Int32Array; continuation(text: string): Int32Array },
): Promise<ScoreOutcome> => {
  const prompt = promptOf(context, request, encode.prompt);
  const continuations = request.continuations.map((text, index) => {
    const ids = encode.continuation(text);
    if (ids.length === 0)
      throw new WinnowError('ERR_USAGE', `continuations[${index}]`, 'at least one token', text, 'Leave it out.');
    return ids;
  });
  const longest = continuations.reduce((most, ids) => Math.max(most, ids.length), 1);
  const setting = request.setting ?? { key: 'dense', method: { id: 'dense', params: {} } };
  const bound = await bindMethod(setting.method, context.resolve, context.profiles);
  const resolved = resolveSetting(setting, bound, context.model.facts, 'query-aware', prompt.contextIds.length);
  requireDocuments(resolved);
  if (resolved.hooks().output !== undefined)
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      setting.key,
      'a method that leaves the output alone',
      'output hooks',
      'Its text can be generated, but not scored.',
    );
  const model = context.model.convert(resolved);
  const sample = await openSample(
    model,
    { prompt, protocol: 'query-aware', sampleSeed: 0, maxNewTokens: longest, standAlone: false },
    [resolved],
  );
  try {
    for (const error of sample.failures.values()) throw error;
    const group = sample.groups[0]!;
    const first = feed(model, group, [tailOf(prompt, 'query-aware')], 'question', 0)[0]!;
    const capacity = prompt.contextIds.length + prompt.questionIds.length + longest + 1;
    // Alike in length, so that few steps are spent on rows that are done.
    const order = [...continuations.keys()].sort((a, b) => continuations[a]!.length - continuations[b]!.length);
    const scores = new Array<ContinuationScore>(continuations.length);
    for (let start = 0; start < order.length; start += MOST_ROWS) {
      const batch = order.slice(start, start + MOST_ROWS);
      const found = scoreBatch(
        answerContext(model),
        group,
        capacity,
        first,
        batch.map((index) => continuations[index]!),
      );
      batch.forEach((index, r) => {
        scores[index] = found[r]!;
      });
    }
    return { promptTokens: prompt.contextIds.length + prompt.questionIds.length, continuations: scores };
  } finally {
    sample.close();
  }
};

const scoreBatch = (
  model: ModelContext,
  base: Group,
  capacity: number,
  first: Float32Array,
  continuations: readonly Int32Array[],
): ContinuationScore[] => {
  const { addon } = model.device;
  const rows = continuations.map((): Row => forkOf(model, base.rows[0]!));
  const group = createGroup(model, rows, capacity);
  try {
    rows.forEach((_, r) => {
      group.state.copyRow(r, base.state, 0);
    });
    const seen = continuations.map(() => ({ logProbabilities: [] as number[], isGreedy: true }));
    const longest = continuations.reduce((most, ids) => Math.max(most, ids.length), 0);
    for (let step = 0; step < longest; step++) {
      model.cancelled();
      // A row that is done is fed its last token on; rows do not touch one another.
      const fed = continuations.map((ids) => Int32Array.of(ids[Math.min(step, ids.length) - 1] ?? 0));
      const logits = step === 0 ? undefined : feed(model, group, fed, 'answer', step);
      continuations.forEach((ids, r) => {
        if (step >= ids.length) return;
        const at = logProbability(logits?.[r] ?? first, ids[step]!);
        seen[r]!.logProbabilities.push(at.logProbability);
        seen[r]!.isGreedy &&= at.isGreedy;
      });
    }
    return continuations.map((ids, r) => ({
      tokenIds: [...ids],
      total: seen[r]!.logProbabilities.reduce((sum, value) => sum + value, 0),
      ...seen[r]!,
    }));
  } finally {
    group.state.dispose();
    for (const row of rows) addon.cacheFree(row.cache);
  }
};

const forkOf = (model: ModelContext, row: Row): Row => forkBooks(row, model.device.addon.cacheFork(row.cache));

/** One step; logits [vocabSize] by row. */
const feed = (
  model: ModelContext,
  group: Group,
  tokens: readonly Int32Array[],
  phase: 'question' | 'answer',
  step: number,
): Float32Array[] => {
  const queryLen = tokens[0]!.length;
  const ids = new Int32Array(tokens.length * queryLen);
  tokens.forEach((row, r) => {
    ids.set(row, r * queryLen);
  });
  const outcome = runStep(model, model.transformer, {
    groups: [group],
    ids,
    queryLen,
    phase,
    step,
    logits: 'last',
    recall: false,
  });
  for (const error of outcome.failures.values()) throw error;
  const all = model.device.addon.download(outcome.logits.id) as Float32Array;
  const { vocabSize } = model.facts;
  return tokens.map((_, r) => all.subarray(r * vocabSize, (r + 1) * vocabSize));
};
