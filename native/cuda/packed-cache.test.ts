import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Addon, CacheId } from '../addon-types.js';
import { loadAddon } from '../index.js';
import { hostSkip, openHostBackend } from './test/host-backend.js';

const HEADS = 2;
const DIM = 32;

const range = <T>(count: number, of: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => of(i));
/** A value that bf16 holds, so that both backends store the same. */
const storable = (seed: number, i: number): number => ((Math.imul(seed * 7919 + i, 2654435761) >>> 24) - 128) / 16;

const upload = (addon: Addon, dtype: 'f32' | 'i32' | 'bf16', shape: number[], values: number[]) => {
  const t = addon.tensor(dtype, shape);
  addon.upload(t, dtype === 'i32' ? Int32Array.from(values) : Float32Array.from(values));
  return t;
};

const append = (addon: Addon, cache: CacheId, seed: number, count: number, ahead: number): void => {
  const scope = addon.openScope();
  const size = HEADS * count * DIM;
  addon.cacheAppend(
    cache,
    0,
    upload(
      addon,
      'f32',
      [HEADS, count, DIM],
      range(size, (i) => storable(seed, i)),
    ),
    upload(
      addon,
      'f32',
      [HEADS, count, DIM],
      range(size, (i) => storable(seed + 1, i)),
    ),
    upload(
      addon,
      'i32',
      [HEADS, count],
      range(HEADS * count, (i) => seed + i),
    ),
    upload(
      addon,
      'i32',
      [HEADS, count],
      range(HEADS * count, (i) => 1 + (i % 3)),
    ),
    upload(
      addon,
      'f32',
      [HEADS, count],
      range(HEADS * count, (i) => storable(seed + 2, i)),
    ),
    ahead,
  );
  addon.closeScope(scope);
};

/** Head 0 loses every slot whose number is `rest` modulo `nth` from slot `from` on, head 1 what lies behind its 150th slot. */
const keep = (addon: Addon, cache: CacheId, nth: number, from: number): void => {
  const lens = addon.cacheLens(cache);
  const lists = [
    range(lens[0]!, (i) => i).filter((i) => i < from || i % nth !== 0),
    range(Math.min(150, lens[1]!), (i) => i),
  ];
  const most = Math.max(1, ...lists.map((list) => list.length));
  const scope = addon.openScope();
  addon.cacheKeep(
    cache,
    0,
    upload(
      addon,
      'i32',
      [HEADS, most],
      lists.flatMap((list) => range(most, (i) => list[i] ?? -1)),
    ),
    upload(
      addon,
      'i32',
      [HEADS],
      lists.map((list) => list.length),
    ),
  );
  addon.closeScope(scope);
};

const read = (addon: Addon, cache: CacheId) => {
  const scope = addon.openScope();
  const [keys, values, bias, counts] = ([0, 1, 2, 3] as const).map((what) =>
    Array.from(addon.download(addon.cacheRead(cache, 0, what))),
  );
  addon.closeScope(scope);
  return {
    numbers: [...keys!, ...values!],
    rest: {
      bias,
      counts,
      lens: [...addon.cacheLens(cache)],
      positions: range(HEADS, (h) => [...addon.cachePositions(cache, 0, h)]),
    },
  };
};

/** A cache, whether pages of it are packed, and whether what was packed has moved: then the CPU holds f32 where the device rounds. */
interface Held {
  id: CacheId;
  isPacked: boolean;
  isMoved: boolean;
}
type Step = (at: { addon: Addon; caches: Held[] }) => void;
const onOne = (of: (addon: Addon, cache: Held, caches: Held[]) => void): fc.Arbitrary<Step> =>
  fc.nat(9).map(
    (which): Step =>
      ({ addon, caches }) =>
        of(addon, caches[which % caches.length]!, caches),
  );
const move = (cache: Held): void => {
  cache.isMoved ||= cache.isPacked;
};
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.nat(1), fc.nat(400), fc.constantFrom(8, 4, 2), fc.constantFrom(8, 16, 32), fc.nat(1))
      .chain(([what, upTo, bits, group, along]) =>
        onOne((addon, cache) => {
          // Rounded numbers have other ranges, so codes would differ by whole steps.
          if (cache.isMoved) return;
          addon.cacheQuantise(cache.id, 0, what as 0 | 1, upTo, bits, group, along as 0 | 1);
          cache.isPacked = true;
        }),
      ),
  },
  fc.tuple(fc.nat(999), fc.integer({ min: 1, max: 200 }), fc.constantFrom(0, 0, 70)).chain(([seed, count, ahead]) =>
    onOne((addon, cache) => {
      append(addon, cache.id, seed, count, Math.min(ahead, ...addon.cacheLens(cache.id)));
      move(cache);
    }),
  ),
  fc.tuple(fc.integer({ min: 2, max: 5 }), fc.nat(200)).chain(([nth, from]) =>
    onOne((addon, cache) => {
      keep(addon, cache.id, nth, from);
      move(cache);
    }),
  ),
  fc.boolean().chain((copies) =>
    onOne((addon, cache, caches) => {
      if (caches.length < 4) caches.push({ ...cache, id: addon[copies ? 'cacheCopy' : 'cacheFork'](cache.id) });
    }),
  ),
  onOne((addon, cache, caches) => {
    if (caches.length > 1) addon.cacheFree(caches.splice(caches.indexOf(cache), 1)[0]!.id);
  }),
  fc.integer({ min: 1, max: 90 }).chain((count) =>
    onOne((addon, cache) => {
      if (Math.min(...addon.cacheLens(cache.id)) >= count) addon.cacheDropLast(cache.id, count);
    }),
  ),
  fc.nat(600).chain((before) => onOne((addon, cache) => addon.cacheRelease(cache.id, 0, before))),
);

describe('packed caches of the CUDA backend', { skip: hostSkip }, () => {
  let cuda: Addon;
  let cpu: Addon;
  const create = (addon: Addon): CacheId =>
    addon.cacheCreate(addon.cacheLayout(Int32Array.of(HEADS), Int32Array.of(DIM), Int32Array.of(DIM)));
  before(() => {
    cuda = openHostBackend();
    cpu = loadAddon();
    cpu.configure(cpu.cpuFacts().isas[0]!, 'reference', 1);
  });

  test('have the codes, scales and minima of the CPU, in both directions and all bits', () => {
    for (const bits of [8, 4, 2])
      for (const along of [0, 1] as const)
        for (const group of [4, 8, 32]) {
          const [got, want] = [cuda, cpu].map((addon) => {
            const cache = create(addon);
            append(addon, cache, 5, 200, 0);
            addon.cacheQuantise(cache, 0, 0, 190, bits, group, along);
            addon.cacheQuantise(cache, 0, 1, 70, bits, group, along);
            const held = read(addon, cache).numbers;
            addon.cacheFree(cache);
            return held;
          });
          assert.deepEqual(got, want, `${bits} bits, groups of ${group} along ${along}`);
        }
  });

  test('hold what those of the CPU hold, whatever happens to them', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 14 }), fc.boolean(), (steps, poison) => {
        const [got, want] = [cuda, cpu].map((addon) => {
          addon.poisonFreedPages(poison ? 1 : 0);
          const at = { addon, caches: [{ id: create(addon), isPacked: false, isMoved: false }] };
          append(addon, at.caches[0]!.id, 1, 150, 0);
          for (const apply of steps) apply(at);
          const held = at.caches.map((cache) => ({ ...read(addon, cache.id), isMoved: cache.isMoved }));
          for (const { id } of at.caches) addon.cacheFree(id);
          addon.poisonFreedPages(0);
          return held;
        });
        got!.forEach((cache, i) => {
          assert.deepEqual(cache.rest, want![i]!.rest);
          cache.numbers.forEach((x, at) => {
            const y = want![i]!.numbers[at]!;
            const bound = cache.isMoved ? Math.abs(y) / 256 : 0;
            assert.ok(Math.abs(x - y) <= bound, `${x} beside ${y}`);
          });
        });
      }),
      { numRuns: 300, includeErrorInReport: true },
    );
    assert.equal(cuda.memory().cacheBytes, 0);
  });

  test('take the bytes of their codes, and give the elements back', () => {
    const cache = create(cuda);
    append(cuda, cache, 3, 200, 0);
    const [whole, live] = [cuda.cacheBytes(cache), cuda.memory().cacheBytes];
    assert.equal(whole, HEADS * 200 * 2 * DIM * 2);
    const plane = (bits: number, group: number) => HEADS * 192 * DIM * (2 - bits / 8 - 4 / group);
    cuda.cacheQuantise(cache, 0, 0, 200, 4, 32, 0);
    assert.equal(cuda.cacheBytes(cache), whole - plane(4, 32));
    assert.equal(cuda.memory().cacheBytes, live - plane(4, 32));
    cuda.cacheQuantise(cache, 0, 1, 200, 2, 16, 1);
    assert.equal(cuda.cacheBytes(cache), whole - plane(4, 32) - plane(2, 16));
    assert.equal(cuda.memory().cacheBytes, live - plane(4, 32) - plane(2, 16));
    assert.deepEqual(
      [...cuda.cacheReadBytes(cache, 0)],
      range(HEADS, () => cuda.cacheBytes(cache) / HEADS),
    );
    const fork = cuda.cacheFork(cache);
    cuda.cacheDropLast(fork, 100);
    cuda.cacheFree(cache);
    assert.deepEqual([...cuda.cacheLens(fork)], [100, 100]);
    cuda.cacheFree(fork);
    assert.equal(cuda.memory().cacheBytes, 0);
  });

  test('are read by ops that know elements alone', () => {
    const results = [cuda, cpu].map((addon) => {
      const cache = create(addon);
      append(addon, cache, 7, 300, 0);
      addon.cacheQuantise(cache, 0, 0, 250, 4, 32, 0);
      addon.cacheQuantise(cache, 0, 1, 130, 8, 8, 1);
      const scope = addon.openScope();
      const act = addon === cpu ? 'f32' : 'bf16';
      const q = upload(
        addon,
        act,
        [3, 4 * DIM],
        range(3 * 4 * DIM, (i) => storable(9, i) / 8),
      );
      const out = addon.tensor(act, [3, 4 * DIM]);
      addon.attendPrefill(q, cache, 0, 0.2, 0, 0, 0, out, 0);
      const prefill = Array.from(addon.download(out));
      const one = addon.slice(q, 0, 1);
      const decoded = addon.tensor(act, [1, 4 * DIM]);
      const decode = (scope: 0 | 2, indices: number, lens: number): number[] => {
        addon.attendDecode(one, Int32Array.of(cache), 0, 1, 0.2, 0, 0, scope, indices, lens, 64, decoded, 0, 0);
        return Array.from(addon.download(decoded));
      };
      const all = decode(0, 0, 0);
      const pages = decode(
        2,
        upload(addon, 'i32', [1, HEADS, 2], [0, 3, 2, 4]),
        upload(addon, 'i32', [1, HEADS], [2, 2]),
      );
      const norms = Array.from(addon.download(addon.slotNorms(Int32Array.of(cache), 0, 1)));
      const summary = Array.from(addon.download(addon.blockSummary(Int32Array.of(cache), 0, 16, 0, 0)));
      addon.closeScope(scope);
      addon.cacheFree(cache);
      return { prefill, all, pages, norms, summary };
    });
    for (const name of ['prefill', 'all', 'pages', 'norms', 'summary'] as const) {
      results[0]![name].forEach((x, i) => {
        const y = results[1]![name][i]!;
        assert.ok(x === y || Math.abs(x - y) <= 0.02 * Math.abs(y) + 0.05, `${name} ${i}: ${x} beside ${y}`);
      });
    }
    assert.equal(cuda.memory().cacheBytes, 0);
  });

  for (const bits of [8, 4, 2])
    test(`are attended to straight from ${bits} bits, in no memory of elements`, () => {
      const [heads, dim, slots] = [2, 64, 400];
      const results = [cuda, cpu].map((addon) => {
        const cache = addon.cacheCreate(
          addon.cacheLayout(Int32Array.of(heads), Int32Array.of(dim), Int32Array.of(dim)),
        );
        const scope = addon.openScope();
        const act = addon === cpu ? 'f32' : 'bf16';
        const width = (1 + 2 * heads) * dim;
        addon.ropeAppend(
          upload(
            addon,
            'f32',
            [slots, width],
            range(slots * width, (i) => storable(4, i) / 4),
          ),
          upload(
            addon,
            'i32',
            [slots],
            range(slots, (i) => i),
          ),
          upload(
            addon,
            'f32',
            [slots, 2],
            range(slots * 2, (i) => 1 - (i % 2)),
          ),
          1,
          Int32Array.of(cache),
          0,
          1,
          0,
          0,
          1e-5,
          addon.tensor(act, [slots, dim]),
        );
        addon.cacheQuantise(cache, 0, 0, 300, bits, 32, 0);
        addon.cacheQuantise(cache, 0, 1, 300, bits, 32, 1);
        const q = upload(
          addon,
          act,
          [1, 4 * dim],
          range(4 * dim, (i) => storable(9, i) / 8),
        );
        const out = addon.tensor(act, [1, 4 * dim]);
        const lse = addon.tensor('f32', [1, 4]);
        addon.resetDeviceMeters?.();
        const before = addon.deviceMeters?.().bytes;
        addon.attendDecode(q, Int32Array.of(cache), 0, 1, 0.125, 0, 0, 0, 0, 0, 0, out, lse, 0);
        const grown = (addon.deviceMeters?.().peakBytes ?? 0) - (before ?? 0);
        const held = [...Array.from(addon.download(out)), ...Array.from(addon.download(lse))];
        addon.closeScope(scope);
        addon.cacheFree(cache);
        return { held, grown };
      });
      results[0]!.held.forEach((x, i) => {
        const y = results[1]!.held[i]!;
        assert.ok(Math.abs(x - y) <= 0.01 * Math.abs(y) + 0.01, `${i}: ${x} beside ${y}`);
      });
      assert.ok(results[0]!.grown <= 4096, `${results[0]!.grown} bytes`);
    });

  test('refuse formats that do not fit, with both values', () => {
    const cache = create(cuda);
    append(cuda, cache, 3, 100, 0);
    assert.throws(() => cuda.cacheQuantise(cache, 0, 0, 100, 3, 32, 0), {
      code: 'ERR_SHAPE',
      message: /bits.*2, 4 or 8.*3/,
    });
    assert.throws(() => cuda.cacheQuantise(cache, 0, 1, 100, 4, 24, 1), {
      code: 'ERR_SHAPE',
      message: /group.*32 channels.*24/,
    });
    cuda.cacheFree(cache);
  });
});
