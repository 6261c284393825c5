import { spawn } from 'node:child_process';

/** A command whose exit code is the verdict. Exit code 77 means skipped, with the reason on its last line; so does `"status":"skipped"` there. */
export interface Check {
  readonly name: string;
  readonly command: readonly string[];
  /** Left out where this file does not exist. */
  readonly needs?: string;
  /** A failure is a skip: what depends on it says so itself. */
  readonly optional?: boolean;
}

export type CheckOutcome =
  | { readonly state: 'passed' }
  | { readonly state: 'failed' }
  | { readonly state: 'skipped'; readonly reason: string };

const SKIPPED = 77;

/** Runs it quietly; a failure prints all it said. */
export const runCheck = async (check: Check): Promise<CheckOutcome> => {
  const start = performance.now();
  const { code, output } = await capture(check.command);
  const took = `${((performance.now() - start) / 1000).toFixed(1)} s`;
  const lastLine = output.trim().split('\n').at(-1) ?? '';
  const skipped = skipReason(lastLine);
  const reason = skipped ?? lastLine;
  if (code === SKIPPED || skipped !== undefined || (code !== 0 && check.optional === true))
    return { state: 'skipped', reason };
  console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${check.name} (${took})`);
  if (code !== 0) console.log(output);
  return { state: code === 0 ? 'passed' : 'failed' };
};

/** Scripts may say in JSON that they could not look: `{"status":"skipped","reason":"…"}`. */
const skipReason = (line: string): string | undefined => {
  if (!line.startsWith('{')) return undefined;
  try {
    const { status, reason } = JSON.parse(line) as { status?: string; reason?: string };
    return status === 'skipped' ? (reason ?? 'no reason given') : undefined;
  } catch {
    return undefined;
  }
};

const capture = ([program, ...words]: readonly string[]): Promise<{ code: number; output: string }> =>
  new Promise((resolve) => {
    const child = spawn(program ?? '', words, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const collect = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', (error) => resolve({ code: 127, output: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
