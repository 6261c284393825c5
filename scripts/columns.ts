/** Rows as aligned columns, two spaces apart; the last column is not padded. */
export const alignColumns = (rows: readonly (readonly string[])[]): string => {
  const widths: number[] = [];
  for (const row of rows) for (const [i, word] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, word.length);
  return rows
    .map((row) =>
      row
        .map((word, i) => (i === row.length - 1 ? word : word.padEnd(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};
