import { readFileSync } from 'node:fs';
import { asWinnowError, type ExitCode, WinnowError } from '../core/errors.js';
import { readCommandLine } from './command-line.js';
import { commands } from './commands.js';
import { openTerminal } from './terminal.js';
import { checkUsage } from './usage-check.js';

/** Runs one command line and returns the exit code. Nothing escapes: mistakes are one line on stderr, bugs say so. */
export const main = async (argv: readonly string[]): Promise<ExitCode> => {
  const verbose = argv.includes('--verbose');
  const terminal = openTerminal(verbose);
  try {
    if (!argv.includes('--get-yargs-completions')) checkUsage(argv, commands);
    const invocation = await readCommandLine(argv, commands, packageVersion());
    if (invocation.kind === 'text') {
      terminal.print(invocation.text);
      return 0;
    }
    return await invocation.command.run(invocation.values, terminal);
  } catch (error) {
    return report(error, verbose);
  } finally {
    terminal.close();
  }
};

const packageVersion = (): string => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
};

const report = (error: unknown, verbose: boolean): ExitCode => {
  const known = withCode(error);
  const line = known.message.replaceAll(/\s*\n\s*/g, ' ');
  process.stderr.write(`${line}\n`);
  const stack = error instanceof Error ? error.stack : undefined;
  if (verbose && stack !== undefined) process.stderr.write(`${stack}\n`);
  return known.exitCode;
};

const diskCodes = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EIO', 'EFBIG']);

/** Errors of the operating system about disk and files get their own codes; anything else unexpected is a bug of ours. */
const withCode = (error: unknown): WinnowError => {
  if (error instanceof WinnowError) return error;
  const { code, path, name } = error as NodeJS.ErrnoException;
  if (name === 'AbortError') return new WinnowError('ERR_INTERRUPTED', 'winnow', 'to finish', 'an interrupt');
  if (code !== undefined && diskCodes.has(code)) {
    return new WinnowError(
      'ERR_DISK',
      path ?? 'disk',
      'to read and write',
      code,
      'Free space or choose another folder.',
    );
  }
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') {
    return new WinnowError('ERR_MISSING', path ?? 'file', 'a readable file', code, 'Check the path.');
  }
  return asWinnowError(error, 'winnow');
};
