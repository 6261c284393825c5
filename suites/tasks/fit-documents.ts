import type { TextSpan } from '../../methods/contract.js';
import type { MadeSample } from './define-task.js';
import { type FitOrder, fitLongText, type LongText } from './fit-long-text.js';
import { fitUnits } from './fit-units.js';

/** A prompt over documents, of which those that nobody needs may be left out. */
export interface DocumentPrompt extends Omit<LongText, 'text' | 'documents' | 'documentIds' | 'evidence'> {
  readonly pool: DocumentPool;
}

export interface DocumentPool {
  /** In the order of the text. */
  readonly documents: readonly PoolDocument[];
  readonly separator: string;
  /** Indexes of the documents that may be left out, those that are kept longest first; in the order of the text unless given. */
  readonly fillers?: readonly number[];
}

export interface PoolDocument {
  readonly isNeeded: boolean;
  /** `number`: its place among the documents kept, from 1. Evidence in offsets of the text. */
  write(number: number): { readonly text: string; readonly id: string; readonly evidence?: readonly TextSpan[] };
}

/**
 * The sample with all documents that are needed and as many others as the length allows, in their order. Where the needed ones alone are
 * too long, their text loses its middle. `meta.documents` and `meta.droppedDocuments` count them.
 */
export const fitDocuments = (order: FitOrder, { pool, ...prompt }: DocumentPrompt): MadeSample => {
  const { documents, separator } = pool;
  const fillers = pool.fillers ?? documents.flatMap(({ isNeeded }, index) => (isNeeded ? [] : [index]));
  const build = (count: number): LongText => {
    const kept = new Set(fillers.slice(0, count));
    const spans: TextSpan[] = [];
    const documentIds: string[] = [];
    const evidence: TextSpan[] = [];
    let text = '';
    for (const [index, document] of documents.entries()) {
      if (!document.isNeeded && !kept.has(index)) continue;
      const written = document.write(spans.length + 1);
      if (spans.length > 0) text += separator;
      const start = text.length;
      text += written.text;
      spans.push({ start, end: text.length });
      documentIds.push(written.id);
      for (const span of written.evidence ?? []) evidence.push({ start: start + span.start, end: start + span.end });
    }
    const meta = { ...prompt.meta, documents: spans.length, droppedDocuments: documents.length - spans.length };
    return { ...prompt, text, documents: spans, documentIds, evidence, meta };
  };
  const tokensOf = (count: number): number => {
    const { before, text, question, answerPrefix = '', chatTemplate } = build(count);
    const parts = { context: before + text, question, answerPrefix };
    return order.meter.countPrompt(chatTemplate === undefined ? parts : { ...parts, chatTemplate });
  };
  const room = order.length - order.maxNewTokens;
  if (tokensOf(0) > room) return fitLongText(order, build(0));
  if (tokensOf(fillers.length) <= room) return fitLongText(order, build(fillers.length));
  const count = fitUnits({
    ...order,
    most: fillers.length - 1,
    promptTokens: tokensOf,
    unitTokens: (i) => order.meter.count(separator + documents[fillers[i]!]!.write(1).text),
  });
  return fitLongText(order, build(count));
};
