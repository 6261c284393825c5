import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunWinnowOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Words before the command, such as a shell that limits it. */
  readonly prefix?: readonly string[];
  /** Called with all of stderr so far; may send signals. */
  readonly onStderr?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
}

/** Runs the real command in a process of its own: for tests of messages, exit codes and signals. */
export const runWinnow = (words: readonly string[], options: RunWinnowOptions = {}): Promise<Finished> =>
  new Promise((resolve, reject) => {
    const entry = fileURLToPath(new URL('winnow.mjs', import.meta.url));
    const [program = '', ...rest] = [...(options.prefix ?? []), process.execPath, entry, ...words];
    const child = spawn(program, rest, {
      cwd: options.cwd,
      env: { ...process.env, NO_COLOR: '1', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      options.onStderr?.(stderr, (signal) => child.kill(signal));
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
