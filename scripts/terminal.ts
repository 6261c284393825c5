/**
 * What a command may say, and where: results go to stdout, everything else to stderr.
 *
 * `signal` aborts at the first Ctrl-C; a second one ends the process at once.
 */
export interface Terminal {
  readonly signal: AbortSignal;
  readonly verbose: boolean;
  /** A result, on stdout. */
  print(text: string): void;
  /** The one JSON document of `--json`, on stdout. */
  printJson(value: unknown): void;
  /** Anything else, on stderr. */
  note(text: string): void;
}

export const openTerminal = (verbose: boolean): Terminal & { close(): void } => {
  const abort = new AbortController();
  const onInterrupt = (): void => {
    if (abort.signal.aborted) process.exit(130);
    process.stderr.write(
      '\nInterrupted: stopping cleanly, finished work is kept. Press Ctrl-C again to stop at once.\n',
    );
    abort.abort();
  };
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onInterrupt);
  // Libraries print progress with console.*; on stdout that would break --json.
  for (const name of ['log', 'info', 'debug'] as const) {
    console[name] = (...words: unknown[]) => {
      if (verbose) console.error(...words);
    };
  }
  // A reader that closes early (`winnow list tasks | head -1`) is not an error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 74);
  });
  return {
    signal: abort.signal,
    verbose,
    print: (text) => process.stdout.write(text.endsWith('\n') ? text : `${text}\n`),
    printJson: (value) => process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`),
    note: (text) => process.stderr.write(text.endsWith('\n') ? text : `${text}\n`),
    close() {
      process.off('SIGINT', onInterrupt);
      process.off('SIGTERM', onInterrupt);
    },
  };
};
