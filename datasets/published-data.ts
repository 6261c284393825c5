/** Real data and published model outputs for tests: they lie beside the project, never inside it. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const FOLDER = fileURLToPath(new URL('../../shared/data/', import.meta.url));

/** Why tests that need `file` cannot run here; undefined when it is there. */
export const missingData = (file: string): string | undefined =>
  existsSync(FOLDER + file) ? undefined : `the data beside the project has no ${file}`;

/** Text of a file of the data folder; `.gz` is unpacked. */
export const publishedText = (file: string): string => {
  const bytes = readFileSync(FOLDER + file);
  return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
};

/** The objects of a JSON Lines file of the data folder. */
export const publishedLines = (file: string): Record<string, unknown>[] =>
  publishedText(file)
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
