import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

/** The script of the first page as one text, from page/main.ts and what it imports. The same sources give the same text. */
export const pageScript = (): string => {
  const { outputFiles } = buildSync({
    entryPoints: [fileURLToPath(new URL('page/main.ts', import.meta.url))],
    bundle: true,
    write: false,
    minify: true,
    format: 'iife',
    target: 'es2022',
    charset: 'ascii',
    legalComments: 'none',
    logLevel: 'silent',
  });
  return outputFiles[0]!.text;
};
