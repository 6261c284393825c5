// Runs a stretch of fuzz inputs in a process of its own, so that a hang or a crash ends only this one. Started by scripts/fuzz.ts.
import { mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import { WinnowError } from '../core/errors.js';
import { makeSeeds } from '../engine/fuzz/seeds.js';
import { allowedCodes, fuzzTargets, targetOf } from '../engine/fuzz/targets.js';

/** No allocation beyond this before a file is refused: four times its size and 64 MB. */
const allowedBytes = (fileBytes: number): number => 4 * fileBytes + 64e6;
/** A slower input counts as a hang; on a busy machine the clock runs on while another process has the core. */
const SLOW_MS = 10_000;

export type ChildMessage =
  | { readonly kind: 'finding'; readonly at: number; readonly target: string; readonly what: string }
  | {
      readonly kind: 'done';
      readonly outcomes: Readonly<Record<string, number>>;
      readonly slowestMs: number;
      readonly largestBytes: number;
    };

const [seed, first, last, step, progressFile, only] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string?,
];
const scratch = mkdtempSync(join(tmpdir(), 'winnow-fuzz-'));
const targets = fuzzTargets(makeSeeds(), join(scratch, 'model'));
const chosen = only === undefined ? undefined : targets.find(({ name }) => name === only);
const progress = openSync(progressFile, 'w');
const outcomes: Record<string, number> = {};
let slowestMs = 0;
let largestBytes = 0;
let peakBefore = 0;
const send = (message: ChildMessage): void => void process.send?.(message);

/** Resident memory never falls here: how far one input raises the largest so far is the least that it took. */
const peakBytes = (): number => process.resourceUsage().maxRSS * 1024;
/** Live or not yet collected: what one input adds, unless a collection comes between, is what it allocated. */
const heapBytes = (): number => {
  const { used_heap_size: used, external_memory: external } = getHeapStatistics();
  return used + external;
};

peakBefore = peakBytes();
for (let at = Number(first); at < Number(last); at += Number(step)) {
  writeSync(progress, String(at).padStart(12), 0);
  const target = chosen ?? targetOf(targets, at);
  const input = target.make(Number(seed), at);
  const finding = (what: string): void => send({ kind: 'finding', at, target: target.name, what });
  const [heapBefore, start] = [heapBytes(), performance.now()];
  let outcome = 'accepted';
  try {
    input.run();
  } catch (error) {
    if (error instanceof WinnowError && allowedCodes.has(error.code)) {
      outcome = error.code;
      if (error.message.includes('\n')) finding(`an error of several lines: ${error.message.slice(0, 300)}`);
    } else {
      outcome = 'finding';
      finding(error instanceof Error ? (error.stack ?? error.message).slice(0, 2_000) : String(error));
    }
  }
  const ms = performance.now() - start;
  const peakAfter = peakBytes();
  const taken = Math.max(peakAfter - peakBefore, heapBytes() - heapBefore);
  peakBefore = peakAfter;
  if (ms > SLOW_MS) finding(`${ms.toFixed(0)} ms for ${input.bytes} bytes`);
  if (taken > allowedBytes(input.bytes)) finding(`${taken} bytes of memory for a file of ${input.bytes}`);
  slowestMs = Math.max(slowestMs, ms);
  largestBytes = Math.max(largestBytes, taken);
  const name = `${target.name} ${outcome}`;
  outcomes[name] = (outcomes[name] ?? 0) + 1;
}
rmSync(scratch, { recursive: true, force: true });
send({ kind: 'done', outcomes, slowestMs, largestBytes });
process.disconnect?.();
