import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { type Addon, loadAddon } from '../index.js';

/** Every native parity suite of the cache, attention and scores; a suite whose name begins with one of these runs with it. */
const SUITES = [
  'attend_prefill',
  'attend_decode',
  'attend_sets',
  'column_stats',
  'plan_mix',
  'merge_lse',
  'cache',
  'window_scores',
  'slot_norms',
  'block_scores',
  'top_k',
  'quantise',
  'random_scores',
  'axpby',
  'channel_scores',
  'plane_scores',
  'project',
  'pairwise_cosine',
  'k_means',
  'group_means',
  'list_ops',
];

/** The sanitizer run leaves out what takes minutes there. */
const skipped = (process.env.WINNOW_PARITY_SKIP ?? '').split(',');

describe('cache, attention and score kernels against their references', () => {
  let addon: Addon;
  before(() => {
    addon = loadAddon();
    addon.configure(addon.cpuFacts().isas[0]!, 'native', 2);
  });

  for (const suite of SUITES) {
    test(`${suite} stays within its bounds on every instruction set, and inside its buffers`, {
      skip: skipped.includes(suite) && 'left out by WINNOW_PARITY_SKIP',
    }, () => {
      const lines = addon.parity(suite).map((line) => JSON.parse(line) as { readonly status: string });
      assert.ok(lines.length > 0, `no parity case is registered for ${suite}`);
      const failed = lines.filter((line) => line.status === 'failed');
      assert.deepEqual(failed.slice(0, 5), [], `${failed.length} of ${lines.length} cases failed`);
    });
  }
});
