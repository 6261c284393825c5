import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { WinnowError } from '../../core/errors.js';

/** A process that stays warm between rounds and answers one JSON line with another. */
export interface PeerProcess {
  ask<T>(call: string, values?: Readonly<Record<string, unknown>>): Promise<T>;
  close(): void;
}

/**
 * Starts `command` and talks to it by JSON lines. Variables that bend a numerical library's choice of kernels are taken out of its
 * environment, so that it runs as it does for anyone. Throws ERR_INTERNAL when it ends or answers with an error.
 */
export const startPeer = (name: string, command: readonly string[], signal: AbortSignal): PeerProcess => {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([key]) => !/^(OPENBLAS|OMP|MKL|GOMP|KMP|ONEDNN|DNNL)_/.test(key)),
  );
  const child = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'], env, signal });
  const waiting: { resolve(value: unknown): void; reject(error: Error): void }[] = [];
  let said = '';
  let ended: WinnowError | undefined;
  const failure = (actual: string): WinnowError => new WinnowError('ERR_INTERNAL', `peer ${name}`, 'an answer', actual);
  const end = (why: string): void => {
    ended ??= failure(`${why}; ${said.trim().split('\n').at(-1) ?? ''}`);
    for (const { reject } of waiting.splice(0)) reject(ended);
  };
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString()}`.slice(-4000);
  });
  child.on('error', (error) => end(error.message));
  child.on('close', (code) => end(`its end with code ${code}`));
  child.stdin.on('error', () => undefined);
  createInterface({ input: child.stdout }).on('line', (line) => {
    const call = waiting.shift();
    const answer = JSON.parse(line) as { error?: string };
    if (answer.error === undefined) call?.resolve(answer);
    else call?.reject(failure(answer.error));
  });
  return {
    ask: <T>(call: string, values: Readonly<Record<string, unknown>> = {}) =>
      new Promise<T>((resolve, reject) => {
        if (ended !== undefined) return reject(ended);
        waiting.push({ resolve: resolve as (value: unknown) => void, reject });
        child.stdin.write(`${JSON.stringify({ ...values, call })}\n`);
      }),
    close() {
      child.stdin.end();
      child.kill();
    },
  };
};
