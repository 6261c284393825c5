import { WinnowError } from '../../core/errors.js';
import type { GenerateOutcome, GenerateRequest, MethodRef } from '../contract.js';
import { decode } from './decode.js';
import type { EvaluateContext } from './evaluate.js';
import { openSample } from './sample.js';
import { bindMethod, resolveSetting } from './settings.js';

const dense: MethodRef = { id: 'dense', params: {} };

/** Greedy text of one prompt under one setting. */
export const generate = async (
  context: EvaluateContext,
  request: GenerateRequest,
  encodeRaw: (text: string) => Int32Array,
): Promise<GenerateOutcome> => {
  const { model, text } = context;
  const prompt = request.raw
    ? {
        contextIds: encodeRaw(request.text),
        questionIds: new Int32Array(0),
        evidence: [],
        documents: [],
        headTokens: 0,
      }
    : text.prepare({
        context: request.text,
        question: '',
        answerPrefix: '',
        documents: [],
        evidence: [],
        chatTemplate: true,
      });
  if (prompt.contextIds.length === 0)
    throw new WinnowError('ERR_USAGE', 'prompt', 'at least one token', 0, 'The prompt file is empty.');
  const setting = request.setting ?? { key: 'dense', method: dense };
  const bound = await bindMethod(setting.method, context.resolve);
  const resolved = resolveSetting(setting, bound, model.facts, 'query-aware', prompt.contextIds.length);
  const sample = await openSample(
    model,
    { prompt, protocol: 'query-aware', sampleSeed: 0, maxNewTokens: request.maxNewTokens, standAlone: false },
    [resolved],
  );
  try {
    for (const error of sample.failures.values()) throw error;
    const { rows, failures } = decode(model, sample, {
      questionIds: prompt.questionIds,
      protocol: 'query-aware',
      maxNewTokens: request.maxNewTokens,
      isStop: text.isStop,
      holdsStop: () => false,
      recallSteps: 0,
    });
    for (const error of failures.values()) throw error;
    const row = rows.get(setting.key)!;
    return {
      promptTokens: prompt.contextIds.length + prompt.questionIds.length,
      tokenIds: row.tokenIds,
      text: text.decode(row.tokenIds),
      finishReason: row.finishReason,
    };
  } finally {
    sample.close();
  }
};
