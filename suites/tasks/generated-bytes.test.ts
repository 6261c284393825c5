/** The same seed gives the same bytes on any machine: hashes of samples, recorded once. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { contentHash } from '../../core/canonical-json.js';
import type { Task } from '../contract.js';
import { generatedTasks } from './index.js';
import { wordMeter } from './word-meter.js';

const file = new URL('generated-bytes.json', import.meta.url);

/** By id and version: whoever changes what a task generates raises its version, which asks for a new hash. */
const hashOf = (task: Task): string => {
  const samples = task.generate({ params: task.defaults, length: 2400, samples: 3, seed: 7, meter: wordMeter() });
  return contentHash(JSON.parse(JSON.stringify([...samples]))).slice(0, 16);
};
const generated = generatedTasks();
const keyOf = ({ id, version }: Task): string => `${id} v${version}`;

test('three samples of every generated task have the hash that was recorded for its version', () => {
  // WINNOW_RECORD=1 adds what is missing and never replaces: a changed hash needs a raised version.
  const recorded = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
  if (process.env.WINNOW_RECORD === '1') {
    const all = Object.fromEntries(generated.map((task) => [keyOf(task), recorded[keyOf(task)] ?? hashOf(task)]));
    writeFileSync(file, `${JSON.stringify(all, null, 2)}\n`);
    return;
  }
  for (const task of generated)
    assert.equal(
      hashOf(task),
      recorded[keyOf(task)],
      `${keyOf(task)} generates other samples than recorded (WINNOW_RECORD=1 records a new version)`,
    );
});
