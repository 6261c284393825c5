import type { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import { type OpenDataset, openDatasets } from '../../datasets/index.js';
import type { Sample, Task, TokenMeter } from '../contract.js';
import { checkData, formatPath } from '../schema-problem.js';
import { haystackDatasets } from './haystack.js';

/** What one sample is made from. */
export interface SampleOrder<P> {
  readonly params: P;
  /** Longest prompt in tokens, answer room included. */
  readonly length: number;
  readonly maxNewTokens: number;
  readonly seed: number;
  readonly index: number;
  readonly meter: TokenMeter;
  /** Opens each file once for all samples of one `generate`. */
  readonly datasets: OpenDataset;
}

interface CommonDefinition<P extends object> extends Omit<Task<P>, 'parse' | 'generate' | 'defaults' | 'maxNewTokens'> {
  /** Every field has a default, so that no parameters are valid parameters. */
  readonly parameters: z.ZodType<P>;
  /** Pure in its order: sample i never depends on the samples before it. */
  makeSample(order: SampleOrder<P>): MadeSample;
  /** Of a task over a dataset: how many samples there are. Others have no end. */
  size?(order: Pick<SampleOrder<P>, 'params' | 'datasets'>): number;
  /** Of a task with a `sampling` parameter: all samples in order from one stream, for `sampling: upstream`. */
  upstream?(order: Omit<SampleOrder<P>, 'index'>): Iterator<MadeSample>;
}

/** Room for the answer: a number, or what the parameters need, counted with the model's tokenizer. */
export type TaskDefinition<P extends object> = CommonDefinition<P> &
  (
    | { readonly maxNewTokens: number; readonly answerTokens?: never }
    | { readonly maxNewTokens?: never; answerTokens(params: P, meter: TokenMeter): number }
  );

export type MadeSample = Omit<Sample, 'id' | 'maxNewTokens'>;

/** A sample without documents or stop texts. */
export const sampleOf = (
  prompt: Pick<Sample, 'context' | 'question' | 'answerPrefix' | 'references' | 'evidence'>,
  meta: Sample['meta'],
): MadeSample => ({ ...prompt, documents: [], stop: [], meta });

/** Completes a task: strict parameters with defaults, and lazy generation from one pure function per sample. */
export const defineTask = <P extends object>(definition: TaskDefinition<P>): Task<P> => {
  const { makeSample, upstream, size, answerTokens, maxNewTokens: ownTokens, ...fields } = definition;
  const parse = (params: unknown): P => {
    const checked = checkData(definition.parameters, params ?? {});
    if ('value' in checked) return checked.value;
    const { path, expected, actual, fix } = checked.problem;
    throw new WinnowError('ERR_SUITE', `${definition.id} ${formatPath(path)}`.trim(), expected, actual, fix);
  };
  return {
    // Any task that has a haystack may be given one out of a dataset.
    datasetsOf: (params) => ('haystack' in params ? haystackDatasets(params.haystack) : {}),
    ...fields,
    ...(ownTokens === undefined ? {} : { maxNewTokens: ownTokens }),
    defaults: parse({}),
    parse,
    *generate({ params, length, samples, seed, meter, maxNewTokens: given, first = 0, datasets = openDatasets() }) {
      const maxNewTokens = given ?? ownTokens ?? answerTokens!(params, meter);
      const isUpstream = 'sampling' in params && params.sampling === 'upstream';
      const stream = isUpstream ? upstream?.({ params, length, maxNewTokens, seed, meter, datasets }) : undefined;
      // One stream: what comes before the first sample must be drawn as well.
      const end = size === undefined ? samples : Math.min(samples, size({ params, datasets }));
      for (let index = stream === undefined ? first : 0; index < end; index++) {
        const sample =
          stream === undefined
            ? makeSample({ params, length, maxNewTokens, seed, index, meter, datasets })
            : (stream.next().value as MadeSample);
        if (index >= first) yield { id: String(index).padStart(5, '0'), maxNewTokens, ...sample };
      }
    },
  };
};
