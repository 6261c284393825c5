/** Evidence access apart from use: a sample's question turned into one for the documents that its answer needs. */
import { WinnowError } from '../core/errors.js';
import type { Sample, TokenMeter } from './contract.js';

/** A task entry of this name asks for the evidence of the entry without it; reports show the two side by side. */
export const EVIDENCE_SUFFIX = '-evidence';

/** Room for the ids of about four documents. */
export const EVIDENCE_TOKENS = 24;

/** Scorer of the ids that an answer names: F1 against those needed. */
export const EVIDENCE_SCORER = 'evidence-ids/f1';

const ANSWER_PREFIX = 'Needed:';

const evidenceQuestion = (question: string): string =>
  `\nWhich of the documents above does the answer to the following question need? Name them as they are called above, and do not answer it. ${question.trim()}`;

/**
 * The same context, asked for the ids of the documents that hold evidence; their ids are the references, all ids the classes. Throws
 * ERR_SUITE for samples whose documents have no ids, and for those with turns or a continuation.
 */
export const askForEvidence = (task: string, sample: Sample): Sample => {
  const { documents, documentIds, evidence, continuation, turns, ...rest } = sample;
  if (documentIds === undefined || documentIds.length !== documents.length || documents.length === 0)
    throw new WinnowError(
      'ERR_SUITE',
      `${task} ask`,
      'a task whose documents have ids',
      `${documents.length} documents and ${documentIds?.length ?? 'no'} ids`,
      'Leave out ask: evidence.',
    );
  if (continuation !== undefined || turns !== undefined)
    throw new WinnowError(
      'ERR_SUITE',
      `${task} ask`,
      'one question a sample',
      turns === undefined ? 'a continuation' : 'turns',
    );
  const needed = documentIds.filter((_, i) => {
    const { start, end } = documents[i]!;
    return evidence.some((span) => span.start < end && span.end > start);
  });
  return {
    ...rest,
    ...{ documents, documentIds, evidence },
    question: evidenceQuestion(sample.question),
    answerPrefix: ANSWER_PREFIX,
    references: needed,
    classes: documentIds,
    stop: [],
  };
};

/** Counts prompts as they will be asked, so that samples leave room for the longer question. */
export const evidenceMeter = (meter: TokenMeter): TokenMeter => ({
  ...meter,
  count: (text) => meter.count(text),
  countPrompt: (prompt) =>
    meter.countPrompt({ ...prompt, question: evidenceQuestion(prompt.question), answerPrefix: ANSWER_PREFIX }),
});
