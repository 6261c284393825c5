import { WinnowError } from '../../core/errors.js';
import type { GenerateOutcome, GenerateRequest, MethodRef, PromptParts } from '../contract.js';
import { companionPrompts } from './companions.js';
import { decode } from './decode.js';
import type { EvaluateContext } from './evaluate.js';
import { type FedPrompt, QUERY_AWARE_TAIL, tailOf } from './fed-prompt.js';
import { openSample } from './sample.js';
import { checkSampling } from './sampling.js';
import { bindMethod, requireDocuments, resolveSetting } from './settings.js';

const dense: MethodRef = { id: 'dense', params: {} };

/** Text of one prompt under one setting, greedy unless sampling is asked for. */
export const generate = async (
  context: EvaluateContext,
  request: GenerateRequest,
  encodeRaw: (text: string) => Int32Array,
): Promise<GenerateOutcome> => {
  const { text } = context;
  if (request.sampling !== undefined) checkSampling(request.sampling);
  const prompt = promptOf(context, request, encodeRaw);
  const setting = request.setting ?? { key: 'dense', method: dense };
  const bound = await bindMethod(setting.method, context.resolve, context.profiles);
  const resolved = resolveSetting(setting, bound, context.model.facts, 'query-aware', prompt.contextIds.length);
  requireDocuments(resolved);
  const model = context.model.convert(resolved);
  const sample = await openSample(
    model,
    {
      prompt,
      protocol: 'query-aware',
      sampleSeed: 0,
      maxNewTokens: request.maxNewTokens,
      standAlone: false,
      companions: (asking) => companionPrompts(partsOf(request), text.prepare, asking),
    },
    [resolved],
  );
  try {
    for (const error of sample.failures.values()) throw error;
    const job = {
      sample,
      tailIds: tailOf(prompt, 'query-aware'),
      maxNewTokens: request.maxNewTokens,
      holdsStop: () => false,
    };
    const [decoded] = decode(model, [job], {
      isStop: text.isStop,
      recallSteps: 0,
      ...(request.sampling === undefined ? {} : { sampling: request.sampling }),
    });
    const { rows, failures } = decoded!;
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

/** The ids of a request's text: as they are, or as one user turn. */
export const promptOf = (
  { text }: EvaluateContext,
  request: { readonly text: string; readonly raw: boolean },
  encodeRaw: (text: string) => Int32Array,
): FedPrompt => {
  const prepared = request.raw ? rawPrompt(encodeRaw(request.text)) : text.prepare(partsOf(request));
  return { ...prepared, tailTokens: QUERY_AWARE_TAIL };
};

const partsOf = ({ text, raw }: { readonly text: string; readonly raw: boolean }): PromptParts => ({
  context: text,
  question: '',
  answerPrefix: '',
  documents: [],
  evidence: [],
  chatTemplate: !raw,
});

/** Without a template the whole text is context, but for the last token, which every setting reads through its own cache. */
const rawPrompt = (ids: Int32Array): FedPrompt => {
  if (ids.length === 0)
    throw new WinnowError('ERR_USAGE', 'prompt', 'at least one token', 0, 'The prompt file is empty.');
  return { contextIds: ids.subarray(0, ids.length - 1), questionIds: ids.subarray(ids.length - 1), evidence: [] };
};
