import type { ExitCode } from '../core/errors.js';
import type { Terminal } from './terminal.js';

/** A flag or positional argument: how it is described, and how its words become a value. */
export interface Flag<T> {
  readonly describe: string;
  /** `values`: may be repeated; each word may hold several, separated by commas. */
  readonly takes: 'nothing' | 'value' | 'values';
  readonly choices?: readonly string[];
  /** Shown in the help instead of a value. */
  readonly placeholder?: string;
  /** `words` is empty when the flag was not given; `name` is how the user writes it. Throws ERR_USAGE. */
  parse(words: readonly string[], name: string): T;
}

export type Flags = Readonly<Record<string, Flag<unknown>>>;
export type Values<F extends Flags> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

/** One command of the command line. Keys of `flags` are camelCase; `--kept-fraction` is `keptFraction`. */
export interface Command<P extends Flags = Flags, F extends Flags = Flags> {
  readonly name: string;
  readonly summary: string;
  /** In the order they are written after the name. `required` of them must be there. */
  readonly positionals: P;
  readonly required: number;
  readonly flags: F;
  readonly examples: readonly (readonly [line: string, does: string])[];
  run(values: Values<P> & Values<F>, terminal: Terminal): Promise<ExitCode>;
}

/** Keeps the types of flags while commands are listed beside others. */
export const defineCommand = <P extends Flags, F extends Flags>(command: Command<P, F>): Command =>
  command as unknown as Command;

export const flagName = (key: string): string => `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
