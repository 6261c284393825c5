/** Text of a Markdown report. */

export const markdownTable = (
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  aligns: readonly ('left' | 'right')[],
): string =>
  [heads, aligns.map((align) => (align === 'left' ? ':--' : '--:')), ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');

/** Text from records: nothing in it may become markup. */
export const plain = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/[\\|`*[\]]/g, (sign) => `\\${sign}`);
