/** The look at the machine code of attention kernels, over listings in which something has gone wrong. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('machine-code.awk', import.meta.url));
const skip = spawnSync('awk', ['BEGIN { exit 0 }']).status === 0 ? false : 'no awk';

const lines = (count: number, text: string): string => `${text}\n`.repeat(count);

interface Kernel {
  readonly products?: number;
  readonly copies?: number;
  readonly allotments?: number;
  readonly before?: number;
  readonly after?: number;
  readonly local?: number;
}
/** A listing of an overlapped prefill kernel of head_dim 128 as it should be, but for what is given. */
const overlapped = (i: number, change: Kernel = {}): string => {
  const { products = 32, copies = 3, allotments = 2, before = 66, after = 0, local = 0 } = change;
  return [
    `Function : _ZN6winnow${i}prefill_attention_kernelINS_13PrefillConfigILi128ELi2ELi128ELi3ELb1ELb0ELb0EEEEE`,
    lines(copies, 'UTMALDG.4D [UR8]'),
    lines(allotments, 'USETMAXREG.DEALLOC.CTAPOOL 0x28'),
    lines(products, 'HGMMA.64x128x16.F32.BF16 R24'),
    'WARPGROUP.DEPBAR.LE gsb0, 0x1',
    lines(before, 'MUFU.EX2 R5'),
    'WARPGROUP.DEPBAR.LE gsb0, 0x0',
    lines(after, 'MUFU.EX2 R5'),
    lines(local, 'STL [R1], R5'),
  ].join('\n');
};
const decode = (i: number, products = 16): string =>
  `Function : _ZN6winnow${i}decode_attention_kernelINS_12DecodeConfigILi128ELi8ELb0EEEEE
UTMALDG.4D [UR8]
${lines(products, 'HGMMA.64x8x16.F32.BF16 R24')}`;
/** Compiled for two devices. */
const portable = (i: number, products = 256): string =>
  `Function : _ZN6winnow${i}prefill_portable_kernelINS_14PortableConfigILi128ELi2ELi2ELb0EEEEE
${lines(products, 'HMMA.16816.F32.BF16 R24')}`.repeat(2);
const wide = (i: number, products = 4, copies = 4): string =>
  `Function : _ZN6winnow${i}linear_wide_kernelINS0_10WideConfigILi64ELi4EEEEE
${lines(copies, 'UTMALDG.4D [UR8]')}
${lines(products, 'HGMMA.64x64x16.F32.BF16 R24')}`;

const sound = [overlapped, decode, portable]
  .flatMap((kernel) => [...Array(10).keys()].map((i) => kernel(i)))
  .join('\n');

/** The checks that fail for a listing. */
const failing = (listing: string): readonly string[] => {
  const { stdout, status } = spawnSync('awk', ['-f', script], { encoding: 'utf8', input: listing });
  const failed = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .filter(({ status: state }) => state !== 'ok')
    .map(({ check }) => check);
  assert.equal(status, failed.length === 0 ? 0 : 1);
  return failed;
};

suite('the look at the machine code', { skip }, () => {
  test('passes a sound listing', () => assert.deepEqual(failing(sound), []));

  for (const [what, change, check] of [
    ['a loop unrolled twice', { products: 64 }, 'Hopper kernels have the products of their shapes'],
    ['a product that was folded away', { products: 31 }, 'Hopper kernels have the products of their shapes'],
    ['a kernel that copies without tensor maps', { copies: 0 }, 'Hopper kernels load by TMA'],
    ['registers that are not shared out', { allotments: 0 }, 'prefill kernels share out registers'],
    ['exponentials behind the wait', { before: 13, after: 53 }, 'overlapped loops keep their overlap'],
    ['a wait hoisted above all exponentials', { before: 0, after: 66 }, 'overlapped loops keep their overlap'],
    ['a spill', { local: 1 }, 'no local memory in the kernels looked at'],
  ] as const)
    test(`finds ${what}`, () => assert.deepEqual(failing(`${sound}\n${overlapped(99, change)}`), [check]));

  test('finds a decode kernel with a product too many', () => {
    assert.deepEqual(failing(`${sound}\n${decode(99, 17)}`), ['Hopper kernels have the products of their shapes']);
  });

  test('passes a product of a step, and finds one unrolled or without the copies of its tokens', () => {
    assert.deepEqual(failing(`${sound}\n${wide(99)}`), []);
    assert.deepEqual(failing(`${sound}\n${wide(99, 8)}`), ['Hopper kernels have the products of their shapes']);
    assert.deepEqual(failing(`${sound}\n${wide(99, 4, 2)}`), ['Hopper kernels load by TMA']);
  });

  test('finds a portable kernel whose products stand in two branches', () => {
    assert.deepEqual(failing(`${sound}\n${portable(99, 512)}`), [
      'the portable prefill has the products of its shapes',
    ]);
  });

  test('finds that there is nothing to look at', () => {
    assert.deepEqual(failing(''), [
      'Hopper kernels have the products of their shapes',
      'the portable prefill has the products of its shapes',
      'Hopper kernels load by TMA',
      'overlapped loops keep their overlap',
    ]);
  });
});
