/** Measured rows kept beside the peers, so that a long comparison may be made in parts, and their table for docs/performance.md. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../../core/files.js';
import { cacheFolder } from '../../engine/models-cache.js';
import type { BenchRow } from '../bench-rows.js';
import { targetOf } from './targets.js';

export interface StoredRow extends BenchRow {
  /** When it was measured, by the day; on what; by which code. */
  readonly date: string;
  readonly machine: string;
  readonly commit: string;
}

const file = (): string => join(cacheFolder(), 'peers', 'results.json');

export const storedRows = (): StoredRow[] =>
  existsSync(file()) ? (JSON.parse(readFileSync(file(), 'utf8')) as StoredRow[]) : [];

/** A row measured again on the same machine replaces the older one, and with a peer also the one that had none. */
export const storeRow = (row: StoredRow): void => {
  writeFileAtomic(file(), `${JSON.stringify(withRow(storedRows(), row), undefined, 1)}\n`);
};

export const withRow = (rows: readonly StoredRow[], row: StoredRow): StoredRow[] => {
  const key = ({ name, isa, shape, machine }: StoredRow): string => JSON.stringify([name, isa, shape, machine]);
  return [...rows.filter((old) => key(old) !== key(row) || (old.peer !== row.peer && old.peer !== null)), row];
};

const number = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toPrecision(3);

/** Markdown tables, one for each machine and instruction set. */
export const performanceTables = (rows: readonly StoredRow[], order: readonly string[]): string => {
  const places = new Map<string, StoredRow[]>();
  for (const row of rows) {
    const place = `${row.machine}, ${row.isa}`;
    places.set(place, [...(places.get(place) ?? []), row]);
  }
  const rank = ({ name }: StoredRow): number => order.indexOf(name);
  return [...places]
    .map(([place, group]) => {
      const dates = [...new Set(group.map(({ date }) => date))].sort();
      const commits = [...new Set(group.map(({ commit }) => commit))];
      const lines = group.sort((a, b) => rank(a) - rank(b)).map(tableLine);
      return [
        `**${place}**, ${dates.join(' and ')}, code ${commits.map((commit) => `\`${commit}\``).join(', ')}`,
        '',
        '| what | shape | ours, ms | that is | peer | peer, ms | ratio | 95 % interval | rounds | target |',
        '|---|---|---|---|---|---|---|---|---|---|',
        ...lines,
      ].join('\n');
    })
    .join('\n\n');
};

const tableLine = (row: StoredRow): string => {
  const { name, shape, oursMs, rate, peer, peerMs, ratio, ratioLow, ratioHigh, rounds } = row;
  const target = targetOf(row);
  const interval = ratioLow === null || ratioHigh === null ? '' : `${number(ratioLow)} – ${number(ratioHigh)}`;
  const cells = [
    name,
    shape,
    number(oursMs),
    `${number(rate.value)} ${rate.unit}`,
    peer ?? '',
    peerMs === null ? '' : number(peerMs),
    ratio === null ? '' : number(ratio),
    interval,
    `${rounds}`,
    target === undefined ? '' : `${target.text}: ${target.isMet ? 'met' : 'missed'}`,
  ];
  return `| ${cells.join(' | ')} |`;
};
