import { WinnowError } from '../core/errors.js';
import { suggestName } from '../core/nearest-name.js';
import { type Command, flagName } from './command.js';

const globalFlags = ['--help', '-h', '--version', '--verbose'];

/**
 * Finds the command that `argv` names and refuses words that no command or flag has, with the nearest that exists.
 * Undefined when only general help or the version was asked for.
 */
export const checkUsage = (argv: readonly string[], commands: readonly Command[]): Command | undefined => {
  const words = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length);
  const first = words.find((word) => !word.startsWith('-'));
  const names = [...commands.map((command) => command.name), 'completion'];
  if (first === undefined) {
    const unknown = words.find((word) => !globalFlags.includes(word));
    if (unknown !== undefined) throw unknownFlag(unknown, globalFlags, 'winnow');
    if (words.some((word) => word !== '--verbose')) return undefined;
    throw new WinnowError('ERR_USAGE', 'winnow', `a command: ${names.join(', ')}`, undefined, 'See winnow --help.');
  }
  const command = commands.find((known) => known.name === first);
  if (command === undefined) {
    if (first === 'completion') return undefined;
    throw new WinnowError('ERR_USAGE', 'winnow', 'a command', first, suggestName(first, names));
  }
  const known = [...Object.keys(command.flags).map(flagName), ...globalFlags];
  for (const word of words) {
    const flag = word.split('=', 1)[0] ?? word;
    if (/^-[^\d.]/.test(flag) && !known.includes(flag)) throw unknownFlag(flag, known, `winnow ${command.name}`);
  }
  return command;
};

const unknownFlag = (flag: string, known: readonly string[], where: string): WinnowError =>
  new WinnowError('ERR_USAGE', where, 'a flag it knows', flag, suggestName(flag, known));
