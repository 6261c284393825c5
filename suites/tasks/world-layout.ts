/** Where the documents of a generated world stand, and which of them are shown. */
import { z } from 'zod';
import type { Random } from '../../core/random.js';
import type { TextSpan } from '../../methods/contract.js';

/** What a document is shown as: a heading with its number, then the text. */
export interface ShownDocument {
  readonly about: string;
  readonly text: string;
}

export interface LayoutParams {
  /** What is shown (DeR2, four regimes): nothing, the documents that are needed, those and the near misses, or all that the length holds. */
  readonly context: 'question-only' | 'gold' | 'gold-and-related' | 'full';
  /** How the needed documents follow each other: by chance, as the reasoning goes, against it, or as it goes at equal distances. */
  readonly order: 'random' | 'forward' | 'backward' | 'spread';
  /** Stands the needed documents together at this share of the others; `sweep` goes through 0, 0.1 … 1 with the sample's index. */
  readonly goldDepth?: number | 'sweep' | undefined;
  /** Of documents that stand together: how many others between neighbours. */
  readonly gap: number;
}

export const LAYOUT_FIELDS = {
  context: z.enum(['question-only', 'gold', 'gold-and-related', 'full']).default('full'),
  order: z.enum(['random', 'forward', 'backward', 'spread']).default('random'),
  goldDepth: z.union([z.number().min(0).max(1), z.literal('sweep')]).optional(),
  gap: z.int().min(0).max(64).default(0),
};

const SWEEP_STEPS = 10;

/** The depth that the parameters mean for a sample; undefined where every needed document has a place of its own. */
export const depthOf = ({ goldDepth }: LayoutParams, index: number): number | undefined =>
  goldDepth === 'sweep' ? (index % (SWEEP_STEPS + 1)) / SWEEP_STEPS : goldDepth;

/** Places of needed and related documents that do not depend on how many others there will be. */
export interface Layout {
  /** All documents in their order: `others` in theirs, related ones among them, needed ones where the layout puts them. */
  arrange<D>(needed: readonly D[], related: readonly D[], others: readonly D[]): D[];
}

/** Draws places for documents in reasoning order. `depth` is a share of the other documents. */
export const drawLayout = (
  { order, gap }: LayoutParams,
  depth: number | undefined,
  counts: { readonly needed: number; readonly related: number },
  random: Random,
): Layout => {
  const drawn = Array.from({ length: counts.needed }, () => random.float());
  const relatedPlaces = Array.from({ length: counts.related }, () => random.float());
  /** ranks[i]: which of the needed documents takes the i-th place. */
  const inOrder = Array.from({ length: counts.needed }, (_, i) => i);
  const ranks = order === 'random' ? random.shuffle(inOrder) : order === 'backward' ? [...inOrder].reverse() : inOrder;

  const placesAmong = (others: number): number[] => {
    if (depth !== undefined) {
      const between = Math.min(gap, counts.needed > 1 ? Math.floor(others / (counts.needed - 1)) : 0);
      const first = Math.round(depth * (others - between * (counts.needed - 1)));
      return inOrder.map((i) => first + i * between);
    }
    if (order === 'spread')
      return inOrder.map((i) => Math.round(counts.needed === 1 ? others / 2 : (i * others) / (counts.needed - 1)));
    return [...drawn].sort((a, b) => a - b).map((share) => Math.floor(share * (others + 1)));
  };
  return {
    arrange: (needed, related, others) => {
      const rest = [
        ...others.map((document, i) => ({ document, place: (i + 0.5) / others.length })),
        ...related.map((document, i) => ({ document, place: relatedPlaces[i]! })),
      ]
        .sort((a, b) => a.place - b.place)
        .map(({ document }) => document);
      const places = placesAmong(rest.length);
      const bySlot = inOrder.map((i) => ({ document: needed[ranks[i]!]!, place: places[i]! }));
      const all: (typeof needed)[number][] = [];
      let next = 0;
      for (let i = 0; i <= rest.length; i++) {
        while (next < bySlot.length && bySlot[next]!.place === i) all.push(bySlot[next++]!.document);
        if (i < rest.length) all.push(rest[i]!);
      }
      return all;
    },
  };
};

/** How a context calls its documents. */
export interface Naming {
  /** How an answer may name the document with that number. */
  id(number: number): string;
  /** The line above it; begins with the id. */
  heading(number: number, about: string): string;
}

export const DOCUMENT_NAMING: Naming = {
  id: (number) => `Document ${number}`,
  heading: (number, about) => `Document ${number}: ${about.charAt(0).toUpperCase()}${about.slice(1)}\n`,
};

/** Documents one after the other under their headings; `starts` says where the heading and the text of each begin. */
export const joinDocuments = <D extends ShownDocument>(
  instruction: string,
  shown: readonly D[],
  { id, heading }: Naming,
) => {
  const documents: TextSpan[] = [];
  const starts = new Map<D, { readonly heading: number; readonly text: number }>();
  const pieces = [instruction];
  let at = instruction.length;
  shown.forEach((document, i) => {
    const title = heading(i + 1, document.about);
    starts.set(document, { heading: at, text: at + title.length });
    documents.push({ start: at, end: at + title.length + document.text.length });
    pieces.push(title, document.text, '\n');
    at += title.length + document.text.length + 1;
  });
  return { text: pieces.join(''), documents, documentIds: shown.map((_, i) => id(i + 1)), starts };
};
