import type { z } from 'zod';
import { WinnowError } from '../../core/errors.js';
import type { DatasetFile } from '../../datasets/index.js';
import type { Task } from '../contract.js';
import { defineTask, type SampleOrder } from './define-task.js';
import { type DocumentPrompt, fitDocuments } from './fit-documents.js';
import { fitLongText, type LongText } from './fit-long-text.js';
import { checkRecord } from './read-record.js';
import { RECORDS_FIELDS, type RecordsParams, recordIndex } from './set-records.js';

export interface RecordTaskDefinition<P extends object, R> extends Omit<Task<P>, 'parse' | 'generate' | 'defaults'> {
  /** A strict object; `records` is added to its keys. */
  readonly parameters: z.ZodType<P>;
  readonly maxNewTokens: number;
  readonly record: z.ZodType<R>;
  /** The dataset's file that these parameters mean; its first unless named. */
  file?(params: P): { readonly dataset: string; readonly name?: string };
  /** How many samples a record makes, one unless given; 0 leaves it out. Parameters that change it must be named in `selects`. */
  items?(record: R, params: P): number;
  readonly selects?: readonly (keyof P & string)[];
  /** `item` counts the samples of the record. Either a text that may lose its middle, or documents that may be left out. */
  prompt(record: R, order: SampleOrder<P>, item: number): LongText | DocumentPrompt;
}

/**
 * A task of real data: samples are the records of a file, each once, and there are no more samples than records give. A text that is too
 * long loses its middle; `meta.truncatedTokens` says how much, `meta.record` which line or record of the file it was.
 *
 * Samples throw ERR_DATASET_FORMAT, with file, line and field, for a record that is not what the schema says.
 */
export const defineRecordTask = <P extends object, R>(definition: RecordTaskDefinition<P, R>): Task<P> => {
  const { record: schema, file, items, selects = [], prompt, ...fields } = definition;
  const open = ({ params, datasets }: Pick<SampleOrder<P>, 'params' | 'datasets'>): DatasetFile => {
    const { dataset, name } = file?.(params) ?? { dataset: fields.datasets![0]! };
    return datasets(dataset, name);
  };
  const selections = new Map<string, (source: DatasetFile) => readonly Place[]>();
  /** Where each sample comes from: of a selection, the file is read once for all samples. */
  const placesOf = (source: DatasetFile, params: P): readonly Place[] | undefined => {
    if (items === undefined) return undefined;
    const key = JSON.stringify(selects.map((name) => params[name]));
    const select = (opened: DatasetFile): readonly Place[] =>
      [...opened].flatMap((data, record) =>
        Array.from({ length: items(checkRecord(schema, data, opened.where(record)), params) }, (_, item) => ({
          record,
          item,
        })),
      );
    if (!selections.has(key)) selections.set(key, select);
    return source.derived(selections.get(key)!);
  };
  const sizeOf = (source: DatasetFile, params: P): number => placesOf(source, params)?.length ?? source.size;
  return defineTask<P>({
    ...fields,
    parameters: (fields.parameters as unknown as z.ZodObject).extend(RECORDS_FIELDS) as unknown as z.ZodType<P>,
    size(order) {
      const source = open(order);
      const count = sizeOf(source, order.params);
      if (count > 0) return count;
      const fix = 'Widen the parameters that choose records, or fetch the file again.';
      throw new WinnowError('ERR_DATASET_FORMAT', source.path, `records for ${fields.id}`, 'none', fix);
    },
    makeSample(order) {
      const source = open(order);
      const places = placesOf(source, order.params);
      const drawn = order.params as P & RecordsParams;
      const at = recordIndex(drawn, sizeOf(source, order.params), order.seed, order.index);
      const { record, item } = places === undefined ? { record: at, item: 0 } : places[at]!;
      const where = source.where(record);
      const made = prompt(checkRecord(schema, source.record(record), where), order, item);
      const meta = { ...made.meta, record: where };
      const fit = { ...order, task: fields.id };
      return 'pool' in made ? fitDocuments(fit, { ...made, meta }) : fitLongText(fit, { ...made, meta });
    },
  });
};

interface Place {
  readonly record: number;
  readonly item: number;
}
