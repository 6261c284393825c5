import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { sha256Hex } from '../../core/canonical-json.js';
import { WinnowError } from '../../core/errors.js';
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

/** What surrounds the needles: a line of noise over and over, generated essays, or the sentences of a text file. */
export const HaystackParameter = z.union([z.enum(['noise', 'essay']), FileHaystack]).transform((haystack) =>
  // The hash becomes part of the parameters, and so of the cell's identity; the file's name does not.
  typeof haystack === 'string' ? haystack : { file: haystack.file, sha256: sha256Hex(readHaystack(haystack)) },
);
export type Haystack = 'noise' | 'essay' | { readonly file: string; readonly sha256?: string | undefined };

/** Pieces of text without end, and what joins them. */
export interface HaystackUnits {
  readonly separator: string;
  unit(index: number): string;
}

/** Essays differ between seeds; noise and files are the same for every seed. */
export const openHaystack = (haystack: Haystack, ...seed: readonly (string | number)[]): HaystackUnits => {
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
  const sentences = splitSentences(readHaystack(haystack).toString('utf8'));
  if (sentences.length === 0)
    throw new WinnowError('ERR_SUITE', haystack.file, 'a text with sentences', '', 'Name another file.');
  return { separator: ' ', unit: (index) => sentences[index % sentences.length]! };
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
