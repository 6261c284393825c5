import { stringify } from 'csv-stringify/sync';
import { canonicalJson } from '../core/canonical-json.js';
import { evidenceDiagnoses, faithfulness } from './evidence.js';
import { isScored } from './quality.js';
import type { MethodRecord, RunRecord } from './schema.js';
import type { CellSummary, RunSummary } from './summary.js';
import { turnMeans } from './turns.js';

export type Value = string | number | boolean | undefined;

/** One row per cell. Names, order and meaning are an interface: additions go to the end. */
const columns: readonly (readonly [string, (cell: CellSummary, run: RunRecord, evidence: Evidence) => Value])[] = [
  ['cellId', ({ facts }) => facts.cellId],
  ['status', ({ record }) => record.status],
  ['suite', (_, { suite }) => suite.id],
  ['suiteVersion', (_, { suite }) => suite.version],
  ['model', (_, { model }) => model.id],
  ['modelSha256', (_, { model }) => model.sha256],
  ['task', ({ facts }) => facts.taskName],
  ['contextLength', ({ facts }) => facts.contextLength],
  ['method', ({ facts }) => facts.method.id],
  ['params', ({ facts }) => canonicalJson(paramsOf(facts.method))],
  ['budgetAxis', ({ facts }) => facts.budgetAxis],
  ['budget', ({ facts }) => facts.keptFraction ?? facts.tokenBudget],
  ['protocol', ({ facts }) => facts.protocol],
  ['simulated', ({ facts }) => facts.simulated],
  ['trained', ({ facts }) => (facts.training === 'untrained-stand-in' ? facts.training : facts.training !== 'none')],
  ['numerics', (_, { numerics }) => numerics],
  ['n', ({ record }) => record.n],
  ['score', ({ record }) => record.aggregates?.score],
  ['scoreLow', ({ record }) => record.aggregates?.scoreLow],
  ['scoreHigh', ({ record }) => record.aggregates?.scoreHigh],
  ['deltaDense', ({ deltaDense }) => deltaDense?.mean],
  ['deltaLow', ({ deltaDense }) => deltaDense?.low],
  ['deltaHigh', ({ deltaDense }) => deltaDense?.high],
  ['evidenceRecall', ({ record }) => record.aggregates?.evidenceRecall],
  ['density', ({ record }) => record.aggregates?.density],
  ['kvCacheBytes', ({ record }) => record.aggregates?.kvCacheBytes],
  ['kvBytesReadPerStep', ({ record }) => record.aggregates?.kvBytesReadPerStep],
  ['promptTokens', ({ record }) => record.aggregates?.promptTokens],
  ['auxiliaryTokens', ({ record }) => record.aggregates?.auxiliaryTokens],
  ['indexBytes', ({ record }) => record.aggregates?.indexBytes],
  ['prefillMs', ({ times }) => times?.prefillMs],
  ['timeToFirstTokenMs', ({ times }) => times?.timeToFirstTokenMs],
  ['decodeMsPerToken', ({ times }) => times?.decodeMsPerToken],
  ['peakResidentBytes', ({ times }) => times?.peakResidentBytes],
  ['peakDeviceBytes', ({ times }) => times?.peakDeviceBytes],
  ['error', ({ record }) => (record.error === undefined ? undefined : errorText(record.error))],
  ['kvBytesMovedPerStep', ({ record }) => record.aggregates?.kvBytesMovedPerStep],
  ['scoreByTurn', (cell) => turnsOf(cell)?.scores.join(' ')],
  ['compressedFor', (cell) => turnsOf(cell)?.compressedFor],
  ['chance', ({ facts }) => facts.chance],
  ['evidenceAccess', (cell, _, evidence) => evidence.get(cell)?.access],
  ['useGivenAccess', (cell, _, evidence) => evidence.get(cell)?.useGivenAccess],
  ['rightKept', (cell) => faithfulnessOf(cell)?.rightKept],
  ['rightLost', (cell) => faithfulnessOf(cell)?.rightLost],
  ['wrongKept', (cell) => faithfulnessOf(cell)?.wrongKept],
  ['wrongLost', (cell) => faithfulnessOf(cell)?.wrongLost],
  ['decodeFloorMs', ({ times }) => times?.decodeFloorMs],
  ['peakBatchRows', (cell) => largestBatch(cell)?.rows],
  ['peakTokensPerSecond', (cell) => largestBatch(cell)?.tokensPerSecond],
];

/** Empty where the weights are random. */
const ofQuality = new Set([
  ...['score', 'scoreLow', 'scoreHigh', 'deltaDense', 'deltaLow', 'deltaHigh', 'evidenceRecall', 'scoreByTurn'],
  ...['evidenceAccess', 'useGivenAccess', 'rightKept', 'rightLost', 'wrongKept', 'wrongLost'],
]);

type Evidence = ReturnType<typeof evidenceDiagnoses>;

/** Of cells that answer: one that names documents says nothing about answers. */
const faithfulnessOf = ({ facts, record, samples }: CellSummary) =>
  record.status === 'ok' && facts.ask === undefined ? faithfulness(samples) : undefined;

/** The largest that fits the stated memory. */
const largestBatch = ({ times }: CellSummary) => times?.batches.find(({ asked }) => asked === 'largest');

const turnsOf = ({ record, samples }: CellSummary) => (record.status === 'ok' ? turnMeans(samples) : undefined);

export const cellsCsvColumns: readonly string[] = columns.map(([name]) => name);

/** Values of the columns, a list for each cell. A quantity that was not measured is undefined. */
export const cellRows = ({ run, cells }: RunSummary): Value[][] => {
  const evidence = evidenceDiagnoses(cells);
  const scored = isScored(run);
  return cells.map((cell) =>
    columns.map(([name, read]) => (scored || !ofQuality.has(name) ? read(cell, run, evidence) : undefined)),
  );
};

/**
 * RFC 4180 text with `\n` line ends. A quantity that was not measured is empty. Numbers are in their shortest round-trip form; text that a
 * spreadsheet would take for a formula gets a leading apostrophe.
 */
export const cellsCsv = (summary: RunSummary): string => csvOf(cellsCsvColumns, cellRows(summary));

export const csvOf = (names: readonly string[], rows: readonly (readonly Value[])[]): string =>
  stringify(rows as Value[][], {
    header: true,
    columns: names.map((name) => ({ key: name, header: name })),
    record_delimiter: 'unix',
    escape_formulas: true,
    cast: { boolean: (value) => (value ? 'true' : 'false') },
  });

export const errorText = ({ code, message }: { readonly code: string; readonly message: string }): string =>
  (message.startsWith('[') ? message : `[${code}] ${message}`).replace(/\s*\n\s*/g, ' ');

const paramsOf = ({ params, parts }: MethodRecord): Record<string, unknown> =>
  parts === undefined ? params : { ...params, parts: parts.map((part) => ({ id: part.id, params: paramsOf(part) })) };
