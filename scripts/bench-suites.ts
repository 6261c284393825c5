import { median } from '../core/statistics.js';
import { createTokenMeter } from '../engine/prompt-meter.js';
import { loadTokenizer } from '../engine/tokenizer.js';
import { generatedTasks } from '../suites/tasks/index.js';
import { alone, type BenchRow } from './bench-rows.js';

const LENGTH = 131_072;
/** Samples of a usual run: RULER's number. */
const USUAL_SAMPLES = 500;
const MOST_ROUNDS = 9;
const FEWEST_ROUNDS = 3;
const TASK_BUDGET_MS = 1500;

/**
 * Milliseconds to generate one sample of 128K tokens, for every task that is generated, with the tokens of a model; the rate is seconds
 * for 500 samples. The first sample, which also fills what is kept for all, is not timed.
 */
export function* benchSuites(modelPath: string): Generator<BenchRow> {
  const meter = createTokenMeter(loadTokenizer(modelPath), true);
  for (const task of generatedTasks()) {
    const samples = task.generate({
      params: task.defaults,
      length: LENGTH,
      samples: Number.MAX_SAFE_INTEGER,
      seed: 0,
      meter,
    });
    const stream = samples[Symbol.iterator]();
    stream.next();
    const times: number[] = [];
    const begun = performance.now();
    while (times.length < FEWEST_ROUNDS || (times.length < MOST_ROUNDS && performance.now() - begun < TASK_BUDGET_MS)) {
      const start = performance.now();
      stream.next();
      times.push(performance.now() - start);
    }
    const ms = median(times);
    yield alone({ name: `generate ${task.id}`, isa: '-', shape: '128k tokens' }, ms, times.length, {
      value: (ms * USUAL_SAMPLES) / 1000,
      unit: `s per ${USUAL_SAMPLES}`,
    });
  }
}
