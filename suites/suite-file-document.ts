import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from 'yaml';
import { type ErrorCode, WinnowError } from '../core/errors.js';
import { formatPath, type SchemaProblem } from './schema-problem.js';

/** A YAML file whose every value knows its line and column. */
export interface SuiteDocument {
  readonly data: unknown;
  /** The error for a problem with the data: `[code] file:line:column key: expected …, got …. fix`. */
  errorAt(problem: SchemaProblem): WinnowError;
}

/** Throws `code` with the position for text that is not YAML, keys that come twice, and aliases that blow up. */
export const readDocument = (text: string, file: string, code: ErrorCode = 'ERR_SUITE'): SuiteDocument => {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, stringKeys: true });
  const where = (offset: number, key = ''): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}${key === '' ? '' : ` ${key}`}`;
  };
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault !== undefined) {
    const [start, end] = fault.pos;
    if (fault.code === 'DUPLICATE_KEY') {
      const key = /^[^\s:]+/.exec(text.slice(start))?.[0] ?? text.slice(start, end);
      throw new WinnowError(code, where(start, key), 'each key once', `a second ${key}`, 'Take one of them out.');
    }
    const said = fault.message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '');
    throw new WinnowError(code, where(start), 'YAML', said, 'Correct the line; text with : or # needs quotes.');
  }
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new WinnowError(code, where(0), 'aliases that repeat little', reason, 'Write the values out.');
  }
  return {
    data,
    errorAt: ({ path, isKey, expected, actual, fix }) => {
      const offset = offsetOf(document.contents, path, isKey, (alias) => alias.resolve(document));
      return new WinnowError(code, where(offset, formatPath(path)), expected, actual, fix);
    },
  };
};

/** Where a value starts; for what is not there, where its nearest holder starts. */
const offsetOf = (
  root: Node | null,
  path: readonly (string | number)[],
  isKey: boolean,
  resolve: (alias: import('yaml').Alias) => Node | undefined,
): number => {
  let node: Node | null | undefined = root;
  let offset = root?.range?.[0] ?? 0;
  for (const [depth, step] of path.entries()) {
    if (isAlias(node)) node = resolve(node);
    let next: unknown;
    if (isMap(node)) {
      const pair = (node.items as Pair[]).find(({ key }) => isScalar(key) && key.value === step);
      const wantsKey = isKey && depth === path.length - 1;
      next = wantsKey ? pair?.key : (pair?.value ?? pair?.key);
    } else if (isSeq(node)) {
      next = node.items[Number(step)];
    }
    if (!isNode(next)) break;
    node = next;
    offset = node.range?.[0] ?? offset;
  }
  return offset;
};
