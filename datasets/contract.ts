/** Datasets as the manifest describes them, and as tasks read them. */
import { z } from 'zod';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const commit = z.string().regex(/^[0-9a-f]{40}$/);

const sourceSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('hub'),
    repo: z.string().regex(/^[\w][\w.-]*\/[\w][\w.-]*$/),
    /** A commit; `main` where none is known: the commit that was fetched is written down then. */
    revision: z.union([commit, z.literal('main')]),
    path: z.string(),
  }),
  /** A file of a repository on GitHub at a commit. */
  z.strictObject({ kind: z.literal('github'), repo: z.string(), commit, path: z.string() }),
  z.strictObject({ kind: z.literal('url'), url: z.url() }),
  /** Inside an archive that a person unpacks: too large to be fetched for one file, or of a kind that is not read here. */
  z.strictObject({ kind: z.literal('by-hand'), url: z.url(), path: z.string() }),
]);
export type DatasetSource = z.output<typeof sourceSchema>;

const fileSchema = z.strictObject({
  /** Its name in the cache and in a folder given with `--from`. `.gz` is unpacked while it is read. */
  name: z.string().regex(/^[\w][\w.-]*$/),
  /** `text`: one record, `{text}`. `parquet` is written as JSON Lines when it is pulled. */
  format: z.enum(['json', 'jsonl', 'csv', 'tsv', 'parquet', 'text']),
  /** UTF-8 unless named. */
  encoding: z.literal('latin1').optional(),
  /** Of a JSON object: the member that holds the records. */
  member: z.string().optional(),
  /** Path inside the archive that the sources bring. */
  zipMember: z.string().optional(),
  /** Size and sha256 of the file as it lies in the cache; absent where nobody could tell us: then the first pull decides. */
  bytes: z.int().positive().optional(),
  sha256: sha256.optional(),
  records: z.int().positive().optional(),
  sources: z.array(sourceSchema).min(1),
});
/** One file of a dataset. */
export type DatasetFileEntry = z.output<typeof fileSchema>;

export const datasetSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]*$/),
  title: z.string(),
  /** Of the data; of its texts too where they differ. */
  licence: z.string(),
  /** A licence that a person must accept: the name for the flag, and where it stands. */
  terms: z.strictObject({ id: z.string().regex(/^[a-z0-9-]+$/), name: z.string(), url: z.url() }).optional(),
  homepage: z.url(),
  /** What a reader should know about this edition. */
  note: z.string().optional(),
  files: z.array(fileSchema).min(1),
});
/** A dataset of the manifest: one file in datasets/manifest/. */
export type DatasetEntry = z.output<typeof datasetSchema>;

/** Records of one file, read when they are asked for. Errors name the file and, where there is one, the line. */
export interface DatasetFile extends Iterable<unknown> {
  readonly dataset: string;
  readonly name: string;
  readonly path: string;
  /** Of the bytes on disk. */
  readonly sha256: string;
  /** Whether the manifest, the first pull or nobody (a user's own file) says that these are the right bytes. */
  readonly trust: 'manifest' | 'first-pull' | 'own-file';
  readonly size: number;
  /** Throws: ERR_DATASET_FORMAT for a record that is no JSON, ERR_INTERNAL for an index out of range. */
  record(index: number): unknown;
  /** `file:line` of a record, for messages. */
  where(index: number): string;
  /** What `make` makes of the file, made once. */
  derived<T>(make: (file: DatasetFile) => T): T;
}

/** The file `name` of a dataset, its first one unless named. Throws: ERR_USAGE, ERR_MISSING, ERR_CHECKSUM, ERR_DATASET_FORMAT. */
export type OpenDataset = (id: string, name?: string) => DatasetFile;
