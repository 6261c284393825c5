import yargs, { type Argv } from 'yargs';
import { WinnowError } from '../core/errors.js';
import { type Command, type Flag, flagName } from './command.js';

/** What the words of a command line ask for: a command with its values, or text to print (help, version, completion). */
export type Invocation =
  | { readonly kind: 'command'; readonly command: Command; readonly values: Readonly<Record<string, unknown>> }
  | { readonly kind: 'text'; readonly text: string };

type Words = Readonly<Record<string, unknown>>;

/** Reads `argv` with yargs: nothing is run here, and every mistake is one ERR_USAGE. */
export const readCommandLine = async (
  argv: readonly string[],
  commands: readonly Command[],
  version: string,
): Promise<Invocation> => {
  let chosen: { command: Command; words: Words } | undefined;
  let text = '';
  const line = withoutTypes(yargs())
    .scriptName('winnow')
    .locale('en')
    .usage('$0 <command>\n\nWhat does a method cost in accuracy at equal measured bytes, and what does it save?')
    .parserConfiguration({
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'dot-notation': false,
      'boolean-negation': false,
    })
    .option('verbose', { type: 'boolean', describe: 'Say more on stderr; errors with their stack.' })
    .help()
    .alias('help', 'h')
    .version(version)
    .strict()
    .exitProcess(false)
    .wrap(Math.min(120, process.stderr.columns ?? 100))
    .epilogue(
      'winnow <command> --help explains a command.\nResults go to stdout, everything else to stderr. Exit codes: docs/cli.md.',
    )
    // Must throw: a handler that returns lets yargs go on to run the command.
    .fail((message, error) => {
      throw error ?? usageError(message, argv);
    })
    // Under another name, because yargs' own command fails under strict() when the process must not exit.
    .completion('completion-words', false, (_current: string, _argv: unknown, usual: Usual, done: Done) =>
      complete(argv, commands, usual, done),
    );
  for (const command of commands) {
    line.command(
      usageOf(command),
      command.summary,
      (inner) => describe(inner, command),
      (words) => {
        chosen = { command, words: words as Words };
      },
    );
  }
  line.command('completion', 'Print a completion script: winnow completion >> ~/.bashrc', {}, () => {
    line.showCompletionScript();
  });
  await line.parseAsync([...argv], {}, (_error: unknown, _argv: unknown, output: string) => {
    text = output;
  });
  if (chosen === undefined) return { kind: 'text', text };
  return { kind: 'command', command: chosen.command, values: valuesOf(chosen.command, chosen.words) };
};

/** Placeholders say more than yargs' [string]; the method is missing from its types. */
const withoutTypes = (line: Argv): Argv =>
  (line as Argv & { usageConfiguration(how: Record<string, boolean>): Argv }).usageConfiguration({
    'hide-types': true,
  });

const usageOf = (command: Command): string => {
  const places = Object.entries(command.positionals).map(([key, { takes }], index) => {
    const name = takes === 'values' ? `${key}..` : key;
    return index < command.required ? `<${name}>` : `[${name}]`;
  });
  return [command.name, ...places].join(' ');
};

const help = (flag: Flag<unknown>): string => {
  const choices = flag.choices === undefined ? '' : ` One of: ${flag.choices.join(', ')}.`;
  const many = flag.takes === 'values' ? ' Several by comma or repetition.' : '';
  return `${flag.placeholder === undefined ? '' : `<${flag.placeholder}> `}${flag.describe}${choices}${many}`;
};

const describe = (line: Argv, command: Command): Argv => {
  line.usage(`$0 ${usageOf(command)}\n\n${command.summary}`);
  for (const [key, positional] of Object.entries(command.positionals)) {
    line.positional(key, { type: 'string', describe: help(positional) });
  }
  for (const [key, flag] of Object.entries(command.flags)) {
    const name = flagName(key).slice(2);
    if (flag.takes === 'nothing') line.option(name, { type: 'boolean', describe: help(flag) });
    else line.option(name, { type: 'string', requiresArg: true, describe: help(flag) });
  }
  line.group(
    Object.keys(command.flags).map((key) => flagName(key).slice(2)),
    'Flags:',
  );
  line.group(['verbose', 'help', 'version'], 'Everywhere:');
  for (const [example, does] of command.examples) line.example(example, does);
  return line;
};

const valuesOf = (command: Command, words: Words): Record<string, unknown> => {
  const values: Record<string, unknown> = {};
  for (const [key, positional] of Object.entries(command.positionals)) {
    values[key] = positional.parse(asList(words[key]), `winnow ${command.name} ${key}`);
  }
  for (const [key, flag] of Object.entries(command.flags)) {
    values[key] = flag.parse(asList(words[flagName(key).slice(2)]), flagName(key));
  }
  return values;
};

const asList = (value: unknown): string[] =>
  value === undefined ? [] : (Array.isArray(value) ? value : [value]).map(String);

const usageError = (message: string, argv: readonly string[]): WinnowError => {
  const where = `winnow ${argv.find((word) => !word.startsWith('-')) ?? ''}`.trim();
  const flag = /^Not enough arguments following: (.+)/.exec(message)?.[1];
  if (flag !== undefined)
    return new WinnowError('ERR_USAGE', `--${flag}`, 'a value', undefined, `See ${where} --help.`);
  if (message.startsWith('Not enough non-option arguments')) {
    return new WinnowError('ERR_USAGE', where, 'another argument', undefined, `See ${where} --help.`);
  }
  return new WinnowError(
    'ERR_USAGE',
    where,
    'arguments it knows',
    message.replaceAll('\n', ' '),
    `See ${where} --help.`,
  );
};

type Done = (found: string[]) => void;
type Usual = (onDefault: (error: Error | null, found: string[] | undefined) => void) => void;

/** The values of a flag after it, else what yargs offers: commands and flags. */
const complete = (argv: readonly string[], commands: readonly Command[], usual: Usual, done: Done): void => {
  const words = argv.slice(argv.indexOf('--get-yargs-completions') + 1).filter((word) => word !== 'winnow');
  const current = words.at(-1) ?? '';
  const choices = current.startsWith('-') ? undefined : choicesAt(words, commands);
  if (choices !== undefined) done(choices.filter((name) => name.startsWith(current)));
  else usual((_error, found) => done(found ?? []));
};

const choicesAt = (words: readonly string[], commands: readonly Command[]): readonly string[] | undefined => {
  const command = commands.find(({ name }) => name === words[0]);
  if (command === undefined) return undefined;
  const flag = Object.entries(command.flags).find(([key]) => flagName(key) === words.at(-2))?.[1];
  const positional = words.length === 2 ? Object.values(command.positionals)[0] : undefined;
  return (flag ?? positional)?.choices;
};
