/** `winnow datasets pull` and `verify`. */
import type { ExitCode } from '../core/errors.js';
import { datasetEntry } from '../datasets/index.js';
import { datasetTerms, type PulledDataset, pullDataset } from '../datasets/pull.js';
import { verifyDataset } from '../datasets/verify.js';
import { acceptLicences } from '../engine/models-licence.js';
import { alignColumns } from './columns.js';
import { pulling } from './open-model.js';
import type { Terminal } from './terminal.js';

export interface FilesOrder {
  readonly id: string;
  readonly from: string | undefined;
  readonly acceptLicence: readonly string[] | undefined;
  readonly json: boolean;
}

export const pullForPeople = async (
  { id, from, acceptLicence, json }: FilesOrder,
  terminal: Terminal,
): Promise<ExitCode> => {
  acceptLicences(acceptLicence ?? [], datasetTerms());
  const pulled = await pulling(terminal, (onProgress) =>
    pullDataset(id, { onProgress, ...(from === undefined ? {} : { from }) }),
  );
  show(pulled, json, terminal);
  const absent = pulled.files.filter(({ state }) => state === 'absent').map(({ name }) => name);
  if (absent.length > 0) terminal.note(`${from} does not have ${absent.join(', ')}.`);
  return 0;
};

/** Throws: ERR_USAGE, ERR_MISSING, ERR_CHECKSUM, ERR_DATASET_FORMAT. */
export const verifyForPeople = async ({ id, from, json }: FilesOrder, terminal: Terminal): Promise<ExitCode> => {
  show(verifyDataset(id, from), json, terminal);
  return 0;
};

const trusts = {
  manifest: 'the hash is the expected one',
  'first-pull': 'no hash is known for it; what the first pull brought is trusted from then on',
} as const;

const show = (pulled: PulledDataset, json: boolean, terminal: Terminal): void => {
  const { title, licence, homepage, note } = datasetEntry(pulled.id);
  if (json) {
    terminal.printJson({ ...pulled, title, licence, homepage, ...(note === undefined ? {} : { note }) });
    return;
  }
  const rows = pulled.files.map(({ name, state, bytes, sha256, trust }) => [
    `  ${name}`,
    state,
    bytes === undefined ? '' : String(bytes),
    sha256 ?? '',
    trust === undefined ? '' : trusts[trust],
  ]);
  terminal.print(
    [pulled.id, `  ${title}`, `  licence ${licence}`, `  folder  ${pulled.folder}`, alignColumns(rows)].join('\n'),
  );
};
