/** The promises of the method contract on the CUDA backend: caches, forks, batches, selections and books of a whole engine. */
import { suite } from 'node:test';
import { kivi } from '../../methods/cache/kivi.js';
import { knorm } from '../../methods/cache/knorm.js';
import { snapkv } from '../../methods/cache/snapkv.js';
import { tova } from '../../methods/cache/tova.js';
import { snapkvQuestKivi } from '../../methods/composed/snapkv-quest-kivi.js';
import { conforms } from '../../methods/conformance.js';
import type { ConformanceOptions } from '../../methods/conformance-subject.js';
import { dense } from '../../methods/control/dense.js';
import { random } from '../../methods/control/random.js';
import { quest } from '../../methods/decode/quest.js';
import { hostBinary, hostSkip } from './test/host-backend.js';

process.env.WINNOW_CUDA_BINARY = hostBinary;

const on: ConformanceOptions = {
  backend: 'cuda',
  // Keys are rotated and then rounded to bf16, so that near ties fall otherwise where positions begin later.
  leftOut: { C24: 'bf16 keys depend on where a text begins' },
};

if (hostSkip === false) {
  conforms(dense, on);
  conforms(knorm, on);
  conforms(snapkv, { ...on, params: { observationWindow: 6 } });
  conforms(tova, on);
  conforms(quest, { ...on, params: { denseLayers: 0 } });
  const packed = { residualTokens: 16, groupSize: 16 };
  conforms(kivi, { ...on, params: packed, contextTokens: 192 });
  conforms(snapkvQuestKivi, {
    ...on,
    params: { snapkv: { observationWindow: 6 }, quest: { denseLayers: 0 }, kivi: packed },
    contextTokens: 192,
  });
  conforms(random, {
    ...on,
    params: { sinkTokens: 2, recentTokens: 4 },
    randomised: 'chooses at random, anew for each head',
  });
} else suite('methods on the CUDA backend', { skip: hostSkip }, () => {});
