import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WinnowError } from '../core/errors.js';
import { alignColumns } from './columns.js';
import { cudaTraces, type Trace } from './cuda-traces.js';
import type { Terminal } from './terminal.js';

const folder = fileURLToPath(new URL('../native/cuda/', import.meta.url));

/** Traces of recorded lines, or of the built test and benchmark run now, with PyTorch beside them where it is installed. */
export const benchCuda = async (recorded: string | undefined, terminal: Terminal): Promise<Trace[]> =>
  recorded === undefined
    ? cudaTraces(await runPrograms(terminal), 'native/cuda/build')
    : cudaTraces(readRecorded(recorded), recorded);

const readRecorded = (file: string): string => {
  if (existsSync(file)) return readFileSync(file, 'utf8');
  throw new WinnowError('ERR_MISSING', file, 'a file of recorded lines', 'nothing there', 'Check the path.');
};

/** Correctness before time: the benchmark starts when the parity cases are through. */
const runPrograms = async (terminal: Terminal): Promise<string> => {
  const test = await linesOf(join(folder, 'build/winnow_cuda_test'), ['--jobs', '8'], terminal);
  if (test.includes('"no-driver"')) {
    throw new WinnowError(
      'ERR_UNSUPPORTED',
      'bench kernels',
      'an NVIDIA driver',
      'none',
      'Use --backend cpu, or --traces.',
    );
  }
  const bench = await linesOf(join(folder, 'build/winnow_cuda_bench'), [], terminal);
  const scratch = mkdtempSync(join(tmpdir(), 'winnow-bench-'));
  try {
    const file = join(scratch, 'bench.jsonl');
    writeFileSync(file, bench);
    const peers = await linesOf('python3', [join(folder, 'bench/sdpa.py'), file], terminal).catch(() => {
      terminal.note('No PyTorch on this machine: no peers.');
      return '';
    });
    return `${test}\n${bench}\n${peers}`;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
};

const linesOf = (program: string, words: readonly string[], terminal: Terminal): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'ignore'], signal: terminal.signal });
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.on('error', (cause) =>
      reject(new WinnowError('ERR_MISSING', program, 'a program that starts', cause.message, 'See docs/gpu.md.')),
    );
    child.on('close', (code) => {
      if (stdout !== '') resolve(stdout);
      else reject(new WinnowError('ERR_INTERNAL', program, 'lines of JSON', `nothing, exit code ${code}`));
    });
  });

/** A line each: what, who, whether it was right, how fast. */
export const traceTable = (traces: readonly Trace[]): string =>
  alignColumns([
    ['workload', 'solution', 'status', 'cases', 'ms', 'TFLOP/s', 'GB/s', 'of copy', 'L2'],
    ...traces.map(({ workload, solution, status, correctness, performance }) => [
      workload.name,
      solution,
      status,
      correctness === undefined ? '' : `${correctness.passed}/${correctness.cases}`,
      ...['ms', 'tflops', 'gbps', 'ofCopy', 'l2'].map((key) => String(performance?.[key] ?? '')),
    ]),
  ]);
