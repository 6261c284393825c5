/** Attention plans on the CUDA backend: the fixtures of the contract and their promises, run by a whole engine. */
import { suite } from 'node:test';
import { conforms } from '../../methods/conformance.js';
import type { ConformanceOptions } from '../../methods/conformance-subject.js';
import { apart } from '../../methods/fixtures/apart.js';
import { allBlocks, someBlocks, verticalSlash } from '../../methods/fixtures/sparse-prefill.js';
import * as steps from '../../methods/fixtures/step-plans.js';
import { tierPart } from '../../methods/fixtures/tier-part.js';
import { hostBinary, hostSkip } from './test/host-backend.js';

process.env.WINNOW_CUDA_BINARY = hostBinary;

const on: ConformanceOptions = {
  backend: 'cuda',
  leftOut: { C24: 'bf16 keys depend on where a text begins' },
};

if (hostSkip === false) {
  for (const method of [allBlocks, someBlocks, verticalSlash, steps.asParts, steps.halfAndHalf, steps.compactAll])
    conforms(method, on);
  conforms(tierPart, on);
  conforms(apart, on);
} else suite('attention plans on the CUDA backend', { skip: hostSkip }, () => {});
