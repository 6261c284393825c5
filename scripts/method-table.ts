import type { Method } from '../methods/contract.js';

/** The table of methods in README.md, made from the adapters. A test compares the two; `npm run docs` writes it. */
export const methodTable = (methods: readonly Method[]): string =>
  [
    '| method | family | axis | paper |',
    '|---|---|---|---|',
    ...methods.map(({ id, family, budgetAxis, source, simulated }) => {
      const { title, arxiv, url } = source;
      const link = arxiv === undefined ? url : `https://arxiv.org/abs/${arxiv}`;
      const axis = budgetAxis === 'none' ? '' : (axisWords[budgetAxis] ?? budgetAxis);
      const paper = link === undefined ? title : `[${title}](${link})`;
      return `| \`${id}\`${simulated === true ? ' (simulated)' : ''} | ${family} | ${axis} | ${paper} |`;
    }),
  ].join('\n');

const axisWords: Readonly<Record<string, string>> = {
  residentBytes: 'resident bytes',
  bytesRead: 'bytes read',
  promptTokens: 'prompt tokens',
  weightBytes: 'weight bytes',
};

/** What stands between `<!-- name:begin -->` and `<!-- name:end -->`. */
export const sectionOf = (document: string, name: string): string => {
  const [start, stop] = borders(document, name);
  return document.slice(start, stop);
};

export const replaceSection = (document: string, name: string, text: string): string => {
  const [start, stop] = borders(document, name);
  return `${document.slice(0, start)}\n${text}\n${document.slice(stop)}`;
};

const borders = (document: string, name: string): [start: number, stop: number] => {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const start = document.indexOf(begin);
  const stop = document.indexOf(end);
  if (start < 0 || stop < start) throw new RangeError(`no section ${name} between ${begin} and ${end}`);
  return [start + begin.length, stop];
};
