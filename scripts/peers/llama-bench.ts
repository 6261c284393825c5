import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Peers } from './install.js';

interface LlamaTest {
  /** Prompt tokens to prefill, or 0. */
  readonly prompt: number;
  /** Tokens to generate one by one, or 0. */
  readonly generate: number;
  /** Tokens in the cache before the clock starts. */
  readonly depth: number;
  readonly repeats: number;
  readonly threads: number;
}

/** One process of llama-bench with its own defaults (warm-up included): milliseconds of each repeat, or of each token it generated. */
export const llamaBench = async (
  peers: Peers,
  model: string,
  { prompt, generate, depth, repeats, threads }: LlamaTest,
  signal: AbortSignal,
): Promise<number[]> => {
  const numbers = { '-p': prompt, '-n': generate, '-d': depth, '-r': repeats, '-t': threads };
  const flags = Object.entries(numbers).flatMap(([flag, value]) => [flag, `${value}`]);
  const { stdout } = await promisify(execFile)(peers.llamaBench, ['-m', model, '-o', 'json', ...flags], { signal });
  const [test] = JSON.parse(stdout) as [{ readonly samples_ns: readonly number[] }];
  return test.samples_ns.map((ns) => ns / 1e6 / (generate === 0 ? 1 : generate));
};
