import { WinnowError } from '../../core/errors.js';
import type { TimingRequest } from '../contract.js';
import { companionPrompts } from './companions.js';
import { contextParts } from './context-parts.js';
import type { EvaluateContext } from './evaluate.js';
import { QUERY_AWARE_TAIL, tailOf } from './fed-prompt.js';
import { type ModelContext, type OpenSample, openSample, type SampleSpec } from './sample.js';
import { bindMethod, resolveSetting } from './settings.js';

/** One setting with its prompt fed and compressed. The caller closes the sample. */
export interface TimedSample {
  readonly model: ModelContext;
  readonly sample: OpenSample;
  /** Fed to every row after compression. */
  readonly tailIds: Int32Array;
  /** Room for the answer. */
  readonly maxNewTokens: number;
}

/**
 * Binds the setting, then `started`, then prefill and compression, watched. `wanted`: room for the answer, less where the model's
 * positions end, but never less than the request's.
 *
 * Throws: what binding and the prefill throw; ERR_UNSUPPORTED for methods that rewrite the prompt.
 */
export const openTimed = async (
  context: EvaluateContext,
  request: TimingRequest,
  wanted: number,
  watch: NonNullable<SampleSpec['watch']> & { started?(): void } = {},
): Promise<TimedSample> => {
  const { text } = context;
  const prompt = { ...text.prepare(request.prompt), tailTokens: QUERY_AWARE_TAIL };
  const bound = await bindMethod(request.setting.method, context.resolve, context.profiles);
  const resolved = resolveSetting(
    request.setting,
    bound,
    context.model.facts,
    request.protocol,
    prompt.contextIds.length,
  );
  if (resolved.hooks().prompt !== undefined) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      request.setting.key,
      'a method without a prompt hook',
      'a prompt method',
      'Its time is not measured yet.',
    );
  }
  const positions = context.model.facts.maxPositions - prompt.contextIds.length - prompt.questionIds.length;
  const maxNewTokens = Math.max(request.maxNewTokens, Math.min(wanted, positions));
  watch.started?.();
  const model = context.model.convert(resolved);
  const sample = await openSample(
    model,
    {
      prompt,
      protocol: request.protocol,
      sampleSeed: request.seed,
      maxNewTokens,
      standAlone: true,
      parts: contextParts(request.prompt, prompt),
      companions: (asking) => companionPrompts(request.prompt, text.prepare, asking),
      watch,
    },
    [resolved],
  );
  for (const error of sample.failures.values()) {
    sample.close();
    throw error;
  }
  return { model, sample, maxNewTokens, tailIds: tailOf(prompt, request.protocol) };
};
