/** Fixtures of the method contract that edit, cluster or choose slots, on the CUDA backend. */
import { suite } from 'node:test';
import { conforms } from '../../methods/conformance.js';
import type { ConformanceOptions } from '../../methods/conformance-subject.js';
import type { Method } from '../../methods/contract.js';
import { clusterSelector } from '../../methods/fixtures/cluster-selector.js';
import { compensationToken } from '../../methods/fixtures/compensation-token.js';
import { latent } from '../../methods/fixtures/latent.js';
import { mergeNearest } from '../../methods/fixtures/merge-nearest.js';
import { reconstruction } from '../../methods/fixtures/reconstruction.js';
import { rotateBack } from '../../methods/fixtures/rotate-back.js';
import { thinKeys } from '../../methods/fixtures/thin-keys.js';
import { tierPart } from '../../methods/fixtures/tier-part.js';
import { tieredQuest } from '../../methods/fixtures/tiered-quest.js';
import { hostBinary, hostSkip } from './test/host-backend.js';

process.env.WINNOW_CUDA_BINARY = hostBinary;

const on: ConformanceOptions = {
  backend: 'cuda',
  // Keys are rotated and then rounded to bf16, so that near ties fall otherwise where positions begin later.
  leftOut: { C24: 'bf16 keys depend on where a text begins' },
};

if (hostSkip === false) {
  conforms(mergeNearest, on);
  conforms(mergeNearest, { ...on, params: { keys: 'direction' } });
  conforms(rotateBack, on);
  conforms(clusterSelector, on);
  conforms(compensationToken, on);
  conforms(thinKeys, { ...on, contextTokens: 200 });
  conforms(tierPart, on);
  conforms(latent, on);
  conforms(reconstruction, on);
  conforms(tieredQuest as Method, { ...on, params: { denseLayers: 0 } });
} else suite('fixtures on the CUDA backend', { skip: hostSkip }, () => {});
