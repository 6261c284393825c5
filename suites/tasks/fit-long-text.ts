import type { TextSpan } from '../../methods/contract.js';
import type { Sample } from '../contract.js';
import type { MadeSample, SampleOrder } from './define-task.js';
import { spansAfterCut, truncateMiddle } from './truncate-middle.js';

/** A record of a dataset as a prompt whose one long text may lose its middle. Spans are UTF-16 offsets of `text`. */
export interface LongText
  extends Pick<Sample, 'question' | 'references' | 'meta'>,
    Partial<Pick<Sample, 'answerPrefix' | 'classes' | 'chatTemplate' | 'documentIds' | 'stop'>> {
  /** What stands before the text. */
  readonly before: string;
  readonly text: string;
  readonly documents?: readonly TextSpan[];
  readonly evidence?: readonly TextSpan[];
}

export type FitOrder = Pick<SampleOrder<object>, 'length' | 'maxNewTokens' | 'meter'> & { readonly task: string };

/** The sample with as much of the text as the length allows. Documents and evidence that lost any part are left out. */
export const fitLongText = (
  order: FitOrder,
  { before, text, documents = [], documentIds, evidence = [], ...prompt }: LongText,
): MadeSample => {
  const { answerPrefix = '', stop = [], meta, ...rest } = prompt;
  const frame = (kept: string) => ({ ...rest, context: before + kept, answerPrefix });
  const cut = truncateMiddle(order, text, frame);
  const moved = (spans: readonly TextSpan[]): TextSpan[] =>
    spansAfterCut(spans, cut).map(({ start, end }) => ({ start: start + before.length, end: end + before.length }));
  const whole = documents.map((span) => moved([span])[0]);
  const names = documentIds?.filter((_, i) => whole[i] !== undefined);
  const keptEvidence = moved(evidence);
  return {
    ...frame(cut.text),
    documents: whole.filter((span) => span !== undefined),
    ...(names === undefined ? {} : { documentIds: names }),
    evidence: keptEvidence,
    stop,
    meta: {
      ...meta,
      truncatedTokens: cut.truncatedTokens,
      ...(keptEvidence.length < evidence.length ? { evidenceCut: evidence.length - keptEvidence.length } : {}),
    },
  };
};
