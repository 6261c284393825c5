import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parameterCount, randomModel } from '../engine/random-model.js';
import { hostBinary, hostSkip } from '../native/cuda/test/host-backend.js';
import { timingPassSchema } from '../results/schema.js';
import { watchCuda } from './device-watch.js';

describe('what a timing pass reads of a device', { skip: hostSkip }, () => {
  process.env.WINNOW_CUDA_BINARY = hostBinary;
  const conditions = timingPassSchema.shape.device.unwrap();

  for (const shape of ['random:tiny', 'random:llama-3.2-1b'])
    test(`${shape}: weights of a step in bf16, without an embedding that is not the head, and the copy bandwidth of the run`, () => {
      const { config } = randomModel(shape);
      const watch = watchCuda(shape);
      const first = watch.begin().after();
      const whole = 2 * parameterCount(config);
      const embedding = 2 * config.vocabSize * config.hiddenSize;
      assert.equal(first.weightBytesPerStep, config.tiedEmbeddings ? whole : whole - embedding);
      assert.ok(first.copyGigabytesPerSecond! > 0.1);
      assert.equal(watch.begin().after().copyGigabytesPerSecond, first.copyGigabytesPerSecond, 'measured once');
      conditions.parse(first);
    });

  test('counters that the device does not give are absent', () => {
    const watch = watchCuda('random:tiny');
    const state = watch.state();
    const conditionsNow = watch.begin().after();
    assert.equal('before' in conditionsNow, state !== undefined);
    for (const value of Object.values(state ?? {})) assert.ok(Number.isFinite(value));
  });
});
