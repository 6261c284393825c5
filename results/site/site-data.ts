/** What the page of a site knows, as JSON inside it. Nothing here needs node: the page's script is built from it too. */
import type { Estimate } from '../../core/statistics-bootstrap.js';

/** Who vouches for the scores of a run. */
export type Badge = 'self-reported' | 'recomputed' | 're-run';

/** Settings of one suite version, model and numerics: only they are compared. */
export interface Board {
  readonly suite: string;
  readonly suiteVersion: number;
  readonly model: string;
  readonly numerics: string;
}

/** A measured quantity of a setting that a view can put on an axis; null = not measured. */
export const quantities = [
  { id: 'scoreKept', label: 'score kept', unit: '÷ dense', better: 'more' },
  { id: 'score', label: 'score', unit: '0–1', better: 'more' },
  { id: 'kvCacheBytes', label: 'cache', unit: 'MiB', better: 'less' },
  { id: 'kvCacheShare', label: 'cache ÷ dense', unit: 'ratio', better: 'less' },
  { id: 'kvBytesRead', label: 'bytes read', unit: 'MiB per step', better: 'less' },
  { id: 'kvReadShare', label: 'read ÷ dense', unit: 'ratio', better: 'less' },
  { id: 'timeToFirstTokenMs', label: 'time to first token', unit: 'ms', better: 'less' },
  { id: 'decodeMsPerToken', label: 'time per token', unit: 'ms', better: 'less' },
  { id: 'peakBytes', label: 'peak memory', unit: 'MiB', better: 'less' },
  { id: 'evidenceRecall', label: 'evidence recall', unit: '0–1', better: 'more' },
] as const;
export type Quantity = (typeof quantities)[number]['id'];

/** One setting of one run under one protocol: a row of the table, a point, a page. */
export interface Setting extends Readonly<Record<Quantity, number | null>> {
  /** Stable name in addresses. */
  readonly id: string;
  readonly page: string;
  readonly series: string;
  readonly budget: string;
  readonly method: string;
  readonly family: string;
  readonly board: number;
  readonly run: string;
  readonly protocol: string;
  readonly axis: string;
  readonly control: boolean;
  readonly simulated: boolean;
  readonly standIn: boolean;
  readonly badge: Badge;
  readonly scored: number;
  readonly planned: number;
  readonly samples: number;
  /** Mean over cells, each counted once. */
  readonly estimate: Estimate | null;
  /** Mean paired difference to dense. */
  readonly delta: Estimate | null;
  /** 1 + how many of its ranking are better with a paired interval above 0; null where it is not ranked. */
  readonly rank: number | null;
  readonly tied: boolean;
  /** How many are ranked with it, or why it is not. */
  readonly ranked: number;
  readonly unranked: string;
  /** Score by depth of the evidence: length, depth in percent, mean score, samples. Empty where no task sweeps the depth. */
  readonly depths: readonly (readonly [length: number, depth: number, score: number, n: number])[];
}

/** One entry per cell in each list, the cells of a setting together. */
export interface CellColumns {
  readonly setting: readonly number[];
  readonly task: readonly number[];
  readonly length: readonly number[];
  /** Which samples it was asked; -1 where it has no score. */
  readonly set: readonly number[];
  readonly n: readonly number[];
  readonly score: readonly (number | null)[];
  readonly low: readonly (number | null)[];
  readonly high: readonly (number | null)[];
  readonly delta: readonly (number | null)[];
  readonly deltaLow: readonly (number | null)[];
  readonly deltaHigh: readonly (number | null)[];
  readonly evidenceRecall: readonly (number | null)[];
  readonly kvCacheBytes: readonly (number | null)[];
  readonly kvBytesRead: readonly (number | null)[];
  readonly timeToFirstTokenMs: readonly (number | null)[];
  readonly decodeMsPerToken: readonly (number | null)[];
  readonly peakBytes: readonly (number | null)[];
  /** Scores of its samples in the order of the set, packed by `packScores`. */
  readonly scores: readonly string[];
}

export interface SiteData {
  readonly title: string;
  readonly level: number;
  readonly bootstrap: { readonly seed: number; readonly draws: number };
  readonly boards: readonly Board[];
  readonly settings: readonly Setting[];
  readonly tasks: readonly string[];
  /** The clusters (samples of a task) of each set, by number: a first one, then on from there, or each by itself. */
  readonly sets: readonly (readonly [first: number, count: number] | readonly number[][])[];
  /** Every score there is; cells name them by place. */
  readonly scoreValues: readonly number[];
  readonly cells: CellColumns;
}

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_';

/** Letters that one score takes. */
export const scoreWidth = (values: number): number => (values <= 64 ? 1 : values <= 4_096 ? 2 : 4);

export const packScores = (places: readonly number[], values: number): string => {
  const width = scoreWidth(values);
  let packed = '';
  for (const place of places)
    for (let digit = width - 1; digit >= 0; digit--) packed += alphabet[(place >> (6 * digit)) & 63];
  return packed;
};

export const unpackScores = (packed: string, values: readonly number[]): number[] => {
  const width = scoreWidth(values.length);
  return Array.from({ length: packed.length / width }, (_, i) => {
    let place = 0;
    for (let digit = 0; digit < width; digit++) place = place * 64 + alphabet.indexOf(packed[i * width + digit]!);
    return values[place]!;
  });
};

export const clustersOf = (set: SiteData['sets'][number]): number[] => {
  const [first, count] = set;
  return Array.isArray(first) ? [...first] : Array.from({ length: count as number }, (_, i) => (first as number) + i);
};

/** `snapkv @ 0.5`. */
export const settingName = ({ series, budget }: Pick<Setting, 'series' | 'budget'>): string =>
  budget === '' ? series : `${series} @ ${budget}`;

/** Settings that are ranked with each other have equal keys: one board, protocol, budget axis and budget. */
export const rankingKey = ({
  board,
  protocol,
  axis,
  budget,
}: Pick<Setting, 'board' | 'protocol' | 'axis' | 'budget'>) => JSON.stringify([board, protocol, axis, budget]);

export const axisWords: Readonly<Record<string, string>> = {
  residentBytes: 'cache bytes in memory',
  bytesRead: 'cache bytes read',
  promptTokens: 'prompt tokens',
  density: 'attention pairs of the prefill',
  weightBytes: 'weight bytes',
  none: 'no budget',
};
