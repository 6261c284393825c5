import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { type Addon, loadAddon } from '../index.js';

interface ParityLine {
  readonly op: string;
  readonly isa: string;
  readonly params: string;
  readonly status: 'ok' | 'failed' | 'skipped';
  readonly error?: number | null;
  readonly bound?: number;
  readonly guards?: boolean;
  readonly reason?: string;
}

const DENSE = [
  'pack_weight',
  'pack_vector',
  'pack_refusal',
  'unpack',
  'embed',
  'linear',
  'linear_rows',
  'linear_isa',
  'linear_gated',
  'tiles',
  'rms_norm',
  'soft_cap',
  'gated_activation',
  'rope',
  'argmax',
  'copy_rows',
  'exp',
  'half',
];

/** The sanitizer run leaves out what takes minutes there. */
const skipped = (process.env.WINNOW_PARITY_SKIP ?? '').split(',');

describe('dense kernels against their fp64 references', () => {
  let addon: Addon;
  before(() => {
    addon = loadAddon();
    addon.configure(addon.cpuFacts().isas[0]!, 'native', 2);
  });

  for (const op of DENSE) {
    test(`${op} stays within its bound on every instruction set, and inside its buffers`, {
      skip: skipped.includes(op) && 'left out by WINNOW_PARITY_SKIP',
    }, (t) => {
      const lines = addon.parity(op).map((line) => JSON.parse(line) as ParityLine);
      assert.ok(lines.length > 0, `no parity case is registered for ${op}`);
      const failed = lines.filter((line) => line.status === 'failed');
      assert.deepEqual(failed.slice(0, 5), [], `${failed.length} of ${lines.length} cases failed`);
      const skipped = lines.filter((line) => line.status === 'skipped');
      for (const reason of new Set(skipped.map((line) => line.reason))) t.diagnostic(`skipped: ${reason}`);
    });
  }

  test('every instruction set of the machine was exercised by the products', () => {
    const seen = new Set(addon.parity('linear_isa').map((line) => (JSON.parse(line) as ParityLine).isa));
    assert.deepEqual([...seen].sort(), [...addon.cpuFacts().isas].sort());
  });
});
