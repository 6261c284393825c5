/** A probe that calls ops from inside a running engine, so that they can be held against the naive ones. Only tests import it. */
import assert from 'node:assert/strict';
import { tova } from './cache/tova.js';
import type { BenchRow, ConformanceBench } from './conformance-bench.js';
import { requestFor, subjectOf } from './conformance-subject.js';
import type { CacheView, Method, Ragged, StepView, Tensor } from './contract.js';
import { dense } from './control/dense.js';
import { oracleTopK } from './control/oracle-top-k.js';
import { declaration } from './declaration.js';
import { naiveTensor } from './naive-lists.js';
import { readAll } from './selector.js';

/** Runs `look` at the end of the prefill and in every step of rows of unequal length; fails if it never ran. */
export const lookInside = async (bench: ConformanceBench, look: Look): Promise<void> => {
  const looks = { boundary: 0, step: 0 };
  const probe: Method = {
    ...oracleTopK,
    id: 'probe',
    declare: () =>
      declaration({
        needs: [
          { view: 'windowQueries', last: 4 },
          { view: 'probs', scope: 'queryHead' },
        ],
      }),
    hooks: (setting, model) => ({
      cache: {
        finishPrefill: (views) => {
          for (const view of views) look.boundary?.(view, bench);
          looks.boundary++;
          // Rows of unequal length from here on.
          return tova.hooks({ ...setting, params: {} }, model).cache!.finishPrefill!(views, undefined as never);
        },
        maintain: (views) => {
          for (const view of views) look.maintain?.(view, bench);
          return [];
        },
      },
      decode: {
        select: (view) => {
          look.step?.(view, bench);
          looks.step++;
          return readAll;
        },
      },
    }),
  };
  const settings = [0.25, 0.6, 0.4].map((keptFraction) => ({
    key: `${keptFraction}`,
    method: probe,
    params: {},
    keptFraction,
  }));
  const rows: readonly BenchRow[] = await bench.run(requestFor(subjectOf(dense, {}), { settings }));
  for (const row of rows) if (row.status !== 'ok') assert.fail(row.error.message);
  assert.ok(looks.boundary > 0 && looks.step > 0, 'the probe was never called');
};

export interface Look {
  boundary?(view: CacheView, bench: ConformanceBench): void;
  step?(view: StepView, bench: ConformanceBench): void;
  maintain?(view: CacheView, bench: ConformanceBench): void;
}

/** Every line [row, list] as numbers. */
export const linesOf = (bench: ConformanceBench, tensor: Tensor): number[][] => {
  const width = tensor.shape.at(-1)!;
  const data = Array.from(bench.peek(tensor));
  return Array.from({ length: data.length / width }, (_, i) => data.slice(i * width, (i + 1) * width));
};

export const listed = (bench: ConformanceBench, lists: Ragged): number[][] => {
  const lens = Array.from(bench.peek(lists.lens));
  return linesOf(bench, lists.values).map((line, i) => line.slice(0, lens[i]));
};

export const naiveCopy = (bench: ConformanceBench, tensor: Tensor): Tensor =>
  naiveTensor(tensor.shape, Array.from(bench.peek(tensor)), tensor.dtype);
