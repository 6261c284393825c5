/** A command of a document and the output that the document shows for it; a line `…` stands for any number of lines. */
export interface DocCommand {
  readonly line: number;
  readonly command: string;
  readonly shown: readonly string[];
}

/** Commands (`$ …`) of fenced blocks that come right after `<!-- executed -->`. */
export const executedCommands = (markdown: string): DocCommand[] => {
  const found: { line: number; command: string; shown: string[] }[] = [];
  let state: 'text' | 'marked' | 'block' = 'text';
  for (const [index, line] of markdown.split('\n').entries()) {
    if (state === 'block') {
      if (line.startsWith('```')) state = 'text';
      else if (line.startsWith('$ ')) found.push({ line: index + 1, command: line.slice(2), shown: [] });
      else found.at(-1)?.shown.push(line);
    } else if (line.trim() === '<!-- executed -->') state = 'marked';
    else if (state === 'marked' && line.trim() !== '') state = line.startsWith('```') ? 'block' : 'text';
  }
  return found;
};

/** Whether `output` is what the document shows: equal line by line, `…` alone for any lines, `…` in a line for any text. */
export const showsOutput = (shown: readonly string[], output: string): boolean => {
  if (shown.length === 0) return true;
  const pattern = shown.map((line) => (line.trim() === '…' ? '(?:.*\\n)*?' : `${lineAsPattern(line)}\\n`)).join('');
  return new RegExp(`^${pattern}$`).test(output.endsWith('\n') ? output : `${output}\n`);
};

const lineAsPattern = (line: string): string =>
  line
    .split('…')
    .map((text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
