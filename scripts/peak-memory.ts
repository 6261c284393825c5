import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { WinnowError } from '../core/errors.js';
import type { OpenOptions, TimingOutcome, TimingRequest } from '../engine/contract.js';

/** What the child process is told on stdin. */
export interface PeakRequest {
  readonly path: string;
  readonly options: OpenOptions;
  readonly request: TimingRequest;
}

/** Peak resident bytes of one setting in a process that does nothing else, so that no other setting's memory is in it. */
export const peakInChild = async (request: PeakRequest, signal?: AbortSignal): Promise<number> => {
  const entry = fileURLToPath(new URL('peak-memory-child.ts', import.meta.url));
  const { code, stdout, stderr } = await new Promise<{ code: number | null; stdout: string; stderr: string }>(
    (resolve, reject) => {
      const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), entry], {
        stdio: ['pipe', 'pipe', 'pipe'],
        ...(signal === undefined ? {} : { signal }),
      });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (chunk: Buffer) => {
        stdout += chunk.toString();
      });
      child.stderr.on('data', (chunk: Buffer) => {
        stderr += chunk.toString();
      });
      child.on('error', reject);
      child.on('close', (status) => resolve({ code: status, stdout, stderr }));
      child.stdin.on('error', () => undefined);
      child.stdin.end(JSON.stringify(request));
    },
  );
  if (code !== 0) {
    throw new WinnowError(
      'ERR_INTERNAL',
      'peak memory of one setting',
      'a process that ends with 0',
      stderr.trim().split('\n').at(-1) ?? `exit code ${code}`,
    );
  }
  return (JSON.parse(stdout) as TimingOutcome).peakResidentBytes;
};
