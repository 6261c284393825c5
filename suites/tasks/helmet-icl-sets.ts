import { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import type { DatasetFile, OpenDataset } from '../../datasets/index.js';
import { checkRecord } from './read-record.js';

/** A text with its class. */
export interface LabelledText {
  readonly text: string;
  readonly label: string;
}

export interface IclSet {
  readonly description: string;
  /** `dataset/file`, to learn from and to classify. */
  readonly files: readonly [train: string, test: string];
  readonly train: (datasets: OpenDataset) => readonly LabelledText[];
  readonly test: (datasets: OpenDataset) => readonly LabelledText[];
}

/** Texts of a file, read once. */
const texts =
  (path: string, read: (file: DatasetFile) => readonly LabelledText[]) =>
  (datasets: OpenDataset): readonly LabelledText[] => {
    const [dataset = '', name = ''] = path.split('/');
    return datasets(dataset, name).derived(read);
  };

/** Lines `DESC:manner How …`; of the label, `kind` takes its part. */
const trecLines = (kind: 'coarse' | 'fine') => (file: DatasetFile) => {
  const { text } = checkRecord(z.object({ text: z.string().min(1) }), file.record(0), file.where(0));
  return text
    .trimEnd()
    .split(/\r?\n/)
    .map((line, i): LabelledText => {
      const [, coarse, fine, question] = /^([A-Z]+):([a-z]+) (.+)$/s.exec(line) ?? [];
      if (coarse === undefined)
        throw new WinnowError(
          'ERR_DATASET_FORMAT',
          `${file.name}:${i + 1}`,
          'a line CLASS:type question',
          line,
          'Fetch the file again.',
        );
      // One letter of one line is broken in the file: upstream reads it as a space.
      return { text: question!.replaceAll('\u00f0', ' '), label: kind === 'coarse' ? coarse : `${coarse}:${fine}` };
    });
};

const coarseLines = trecLines('coarse');
const fineLines = trecLines('fine');

const BankingRow = z.looseObject({ text: z.string().min(1), category: z.string().min(1) });
const bankingRows = (file: DatasetFile): LabelledText[] =>
  [...file].map((data, i) => {
    const { text, category } = checkRecord(BankingRow, data, file.where(i));
    return { text, label: category };
  });

const clincPart = z.array(z.tuple([z.string(), z.string()]));
const ClincFile = z.looseObject({ train: clincPart, val: clincPart, oos_train: clincPart, oos_val: clincPart });
const clincParts = (names: readonly ['train', 'oos_train'] | readonly ['val', 'oos_val']) => (file: DatasetFile) => {
  const { text } = checkRecord(z.object({ text: z.string() }), file.record(0), file.where(0));
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw new WinnowError('ERR_DATASET_FORMAT', file.path, 'JSON', (error as Error).message, 'Fetch the file again.');
  }
  const parts = checkRecord(ClincFile, data, file.name);
  return names.flatMap((name) => parts[name].map(([said, label]): LabelledText => ({ text: said, label })));
};
const clincTrain = clincParts(['train', 'oos_train']);
const clincTest = clincParts(['val', 'oos_val']);

const TREC = ['trec/train_5500.label', 'trec/TREC_10.label'] as const;
const BANKING = ['banking77/train.csv', 'banking77/test.csv'] as const;
const CLINC = 'clinc150/data_oos_plus.json';

/** The sets of HELMET's in-context learning but NLU. As upstream, CLINC150 is asked with its validation part. */
export const ICL_SETS: Readonly<Record<string, IclSet>> = {
  trec_coarse: {
    description: 'Questions with 6 types, from labelled examples.',
    files: TREC,
    train: texts(TREC[0], coarseLines),
    test: texts(TREC[1], coarseLines),
  },
  trec_fine: {
    description: 'Questions with 50 types, from labelled examples.',
    files: TREC,
    train: texts(TREC[0], fineLines),
    test: texts(TREC[1], fineLines),
  },
  banking77: {
    description: 'Bank customers’ questions with 77 intents, from labelled examples.',
    files: BANKING,
    train: texts(BANKING[0], bankingRows),
    test: texts(BANKING[1], bankingRows),
  },
  clinc150: {
    description: 'Questions to an assistant with 151 intents, from labelled examples.',
    files: [CLINC, CLINC],
    train: texts(CLINC, clincTrain),
    test: texts(CLINC, clincTest),
  },
};
