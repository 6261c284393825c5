/** Samples drawn as upstream draws them, against hashes of what its own code made (scripts/record-ruler.py). */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openDatasets } from '../../datasets/index.js';
import type { TokenMeter } from '../contract.js';
import { findTask } from '../tasks/index.js';

interface Recorded {
  readonly task: string;
  readonly length: number;
  readonly seed: number;
  /** Words of each sample and its answer room. */
  readonly words: readonly number[];
  readonly sha256: readonly string[];
}

const recorded = JSON.parse(readFileSync(new URL('ruler-upstream.json', import.meta.url), 'utf8')) as Recorded[];

const count = (text: string): number => text.split(/\s+/).filter((word) => word !== '').length;

/** Words between white space, as the recording had it. */
const meter: TokenMeter = {
  tokenizer: 'white space',
  count,
  countPrompt: ({ context, question, answerPrefix }) => count(`${context}${question} ${answerPrefix}`),
};

/** As Python's json.dumps with its default separators. */
const hashOf = (text: string, outputs: readonly string[]): string =>
  createHash('sha256')
    .update(`[${JSON.stringify(text)}, [${outputs.map((one) => JSON.stringify(one)).join(', ')}]]`)
    .digest('hex');

/** The small sets that the script made for question answering. */
const sets: Readonly<Record<string, string>> = { qa_1: 'ruler-squad', qa_2: 'ruler-hotpotqa' };
const setOf = (id: string) =>
  id in sets
    ? { datasets: openDatasets({ from: fileURLToPath(new URL(`fixtures/${sets[id]}.json`, import.meta.url)) }) }
    : {};

for (const { task: id, length, seed, words, sha256 } of recorded) {
  test(`${id} at ${length} with seed ${seed} is upstream's, sample by sample`, () => {
    const task = findTask(id)!;
    const params = task.parse({ sampling: 'upstream' });
    const samples = [...task.generate({ params, length, samples: sha256.length, seed, meter, ...setOf(id) })];
    assert.deepEqual(
      samples.map((sample) => meter.countPrompt(sample) + task.maxNewTokens!),
      words,
    );
    assert.deepEqual(
      samples.map(({ context, question, answerPrefix, references }) =>
        hashOf(`${context}${question} ${answerPrefix}`, references),
      ),
      sha256,
    );
    for (const { context, evidence, references } of samples) {
      const stands = evidence.map(({ start, end }) => context.slice(start, end));
      for (const reference of references) assert.ok(stands.some((text) => text.includes(reference)));
    }
    assert.deepEqual(
      [...task.generate({ params, length, samples: 2, first: 1, seed, meter, ...setOf(id) })],
      samples.slice(1, 2),
    );
  });
}

test("question answering as upstream needs the published set and room for a question's own paragraphs", () => {
  const task = findTask('qa_2')!;
  const draw = (params: object, length: number, sets: object): unknown[] => [
    ...task.generate({ params: task.parse(params), length, samples: 9, seed: 42, meter, ...sets }),
  ];
  assert.throws(() => task.parse({ sampling: 'upstream', source: 'world' }), {
    code: 'ERR_SUITE',
    message: /qa_2 sampling: expected independent over the generated world/,
  });
  const params = { sampling: 'upstream' };
  assert.throws(
    () => draw(params, 560, { datasets: openDatasets({ from: fileURLToPath(new URL('../tasks', import.meta.url)) }) }),
    { code: 'ERR_MISSING', message: /winnow datasets pull hotpotqa/ },
  );
  assert.deepEqual(task.datasetsOf?.(task.parse(params)), { needed: ['hotpotqa'] });
  // Upstream takes 10 of 18 paragraphs away, draws −2 and never ends.
  assert.throws(() => draw(params, 400, setOf('qa_2')), { code: 'ERR_SUITE', message: /holds the 10 paragraphs/ });
});
