import type { GateRow } from './gate-row.js';
import type { Waiver } from './policy.js';

/**
 * Marks rows that a waiver of the policy holds back. A waiver holds through the day it expires; after that the row counts again and a note
 * says so. So does one for a waiver that nothing needs any more.
 */
export const applyWaivers = (
  rows: readonly GateRow[],
  waivers: readonly Waiver[],
  today: string,
): { readonly rows: GateRow[]; readonly notes: string[] } => {
  const isCurrent = ({ expires }: Waiver): boolean => today <= expires;
  const marked = rows.map((row): GateRow => {
    const waiver = row.verdict === 'pass' ? undefined : waivers.find((one) => isCurrent(one) && covers(one, row));
    return waiver === undefined ? row : { ...row, waiver };
  });
  const notes = waivers.flatMap((waiver) => {
    const name = `waiver of ${waiver.owner} (${waiver.reason})`;
    if (!isCurrent(waiver)) return [`${name} expired on ${waiver.expires}`];
    return marked.some((row) => row.waiver === waiver) ? [] : [`${name} is not needed any more`];
  });
  return { rows: marked, notes };
};

const covers = ({ check, quantity, task, length, method }: Waiver, row: GateRow): boolean =>
  (check === undefined || check === row.check) &&
  (quantity === undefined || quantity === row.quantity) &&
  (task === undefined || task === row.task) &&
  (length === undefined || length === row.contextLength) &&
  (method === undefined || method === row.method);
