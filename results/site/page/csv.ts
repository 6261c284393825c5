import type { Column, Row } from './rows.js';

/** RFC 4180 text of rows; numbers whole as the page has them, text that a spreadsheet would take for a formula after an apostrophe. */
export const csvText = (columns: readonly Column[], rows: readonly Row[]): string => {
  const heads = [...columns.map(({ id }) => id), 'protocol', 'axis', 'badge', 'run'];
  const lines = rows.map((row) => [
    ...columns.map((column) => column.sortBy(row)),
    row.setting.protocol,
    row.setting.axis,
    row.setting.badge,
    row.setting.run,
  ]);
  return [heads, ...lines].map((line) => `${line.map(field).join(',')}\n`).join('');
};

const field = (value: number | string | null): string => {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const safe = /^[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};
