import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { sha256Hex } from '../../core/canonical-json.js';
import { WinnowError } from '../../core/errors.js';
import { createRandom, type Random } from '../../core/random.js';
import { type DatasetFile, datasetEntry, type OpenDataset, openDatasets } from '../../datasets/index.js';
import { NOISE_LINE } from '../../datasets/noise.js';
import { proseSentences } from '../../datasets/prose.js';

const FileHaystack = z.strictObject({
  /** A text file; in a suite file the path starts at the suite's folder. */
  file: z.string().min(1),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'a sha256 in 64 lower-case hex digits')
    .optional(),
});

const DatasetHaystack = z.strictObject({
  /** A dataset of texts, such as `books`; what was pulled becomes part of the cell's identity. */
  dataset: z.string().min(1),
});

/** What surrounds the needles: a line of noise over and over, generated essays, the sentences of a text file, or those of a dataset's books. */
export const HaystackParameter = z
  .union([z.enum(['noise', 'essay']), FileHaystack, DatasetHaystack])
  .transform((haystack) =>
    // The hash becomes part of the parameters, and so of the cell's identity; the file's name does not.
    typeof haystack === 'string' || 'dataset' in haystack
      ? haystack
      : { file: haystack.file, sha256: sha256Hex(readHaystack(haystack)) },
  );
export type Haystack =
  | 'noise'
  | 'essay'
  | { readonly file: string; readonly sha256?: string | undefined }
  | { readonly dataset: string };

/** The datasets that the parameters name, for `Task.datasetsOf`. */
export const haystackDatasets = (haystack: unknown): { readonly needed?: readonly string[] } =>
  typeof haystack === 'object' && haystack !== null && 'dataset' in haystack
    ? { needed: [String(haystack.dataset)] }
    : {};

/** Pieces of text without end, and what joins them. */
export interface HaystackUnits {
  readonly separator: string;
  unit(index: number): string;
}

/** Essays differ between seeds, books begin elsewhere; noise and files are the same for every seed. */
export const openHaystack = (
  haystack: Haystack,
  seed: readonly (string | number)[] = [],
  datasets: OpenDataset = openDatasets(),
): HaystackUnits => {
  if (haystack === 'noise') return { separator: '\n', unit: () => NOISE_LINE };
  if (haystack === 'essay') {
    const sentences: string[] = [];
    const source = proseSentences(...seed);
    const unit = (index: number): string => {
      while (sentences.length <= index) sentences.push(source.next().value as string);
      return sentences[index]!;
    };
    return { separator: ' ', unit };
  }
  if ('dataset' in haystack) return bookUnits(haystack.dataset, datasets, createRandom(...seed, 'books'));
  const sentences = splitSentences(readHaystack(haystack).toString('utf8'));
  if (sentences.length === 0)
    throw new WinnowError('ERR_SUITE', haystack.file, 'a text with sentences', '', 'Name another file.');
  return { separator: ' ', unit: (index) => sentences[index % sentences.length]! };
};

/** From a sentence drawn in a book drawn: to its end, then from the start of the books after it, round and round. */
const bookUnits = (dataset: string, datasets: OpenDataset, random: Random): HaystackUnits => {
  const names = datasetEntry(dataset).files.map(({ name }) => name);
  let book = random.integer(0, names.length - 1);
  let sentences: readonly string[] = datasets(dataset, names[book]).derived(bookSentences);
  let at = random.integer(0, sentences.length - 1);
  const taken: string[] = [];
  return {
    separator: ' ',
    unit(index) {
      while (taken.length <= index) {
        if (at === sentences.length) {
          book = (book + 1) % names.length;
          sentences = datasets(dataset, names[book]).derived(bookSentences);
          at = 0;
        }
        taken.push(sentences[at++]!);
      }
      return taken[index]!;
    },
  };
};

/** Without headings, rules and the marks of Markdown. Throws: ERR_DATASET_FORMAT when the file is no text or has no sentences. */
const bookSentences = (file: DatasetFile): readonly string[] => {
  const record = file.record(0);
  const text = typeof record === 'object' && record !== null && 'text' in record ? record.text : undefined;
  if (typeof text !== 'string')
    throw new WinnowError('ERR_DATASET_FORMAT', file.where(0), 'a text', typeof text, 'Name a dataset of texts.');
  const plain = text.replace(/^#.*$|^-{3,}$/gm, ' ').replace(/[*_`]|^>/gm, '');
  const sentences = splitSentences(plain);
  if (sentences.length === 0) throw new WinnowError('ERR_DATASET_FORMAT', file.where(0), 'sentences', 'none');
  return sentences;
};

/** Sentences of a text with its white space collapsed: cut after . ! or ? and closing quotes, where a space follows. */
export const splitSentences = (text: string): string[] =>
  text
    .replace(/\s+/g, ' ')
    .split(/(?<=[.!?]["'”’)\]]*) /)
    .map((sentence) => sentence.trim())
    .filter((sentence) => sentence !== '');

const readHaystack = ({ file, sha256 }: { readonly file: string; readonly sha256?: string | undefined }): Buffer => {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new WinnowError(
      'ERR_MISSING',
      'haystack.file',
      `a readable text file at ${file}`,
      reason,
      'Correct the path.',
    );
  }
  const actual = sha256Hex(bytes);
  if (sha256 !== undefined && actual !== sha256) {
    throw new WinnowError(
      'ERR_CHECKSUM',
      file,
      `sha256 ${sha256}`,
      actual,
      'Restore the file, or put the new hash into the suite.',
    );
  }
  return bytes;
};
