import type { TopLevelSpec } from 'vega-lite';
import { framed } from './theme.js';

interface ProfiledTime {
  readonly isa: string;
  readonly threads: number;
  readonly passes: readonly {
    readonly phase: string;
    readonly tokens: number;
    readonly rows: number;
    readonly wallMs: number;
    readonly outsideShare: number;
    readonly ops: readonly { readonly op: string; readonly share: number }[];
  }[];
}

/** Ops with a smaller share of every pass are one bar. */
const SMALLEST_SHARE = 0.02;

/** Shares of a pass's time by op, one bar a pass; what is outside native ops is a part of its own. */
export const timeShares = (model: string, { isa, threads, passes }: ProfiledTime): TopLevelSpec => {
  const large = new Set(
    passes.flatMap(({ ops }) => ops.filter(({ share }) => share >= SMALLEST_SHARE).map(({ op }) => op)),
  );
  const values = passes.flatMap(({ phase, tokens, rows, wallMs, outsideShare, ops }) => {
    const of =
      phase === 'prefill' ? `prefill ${tokens}` : `decode after ${tokens}, ${rows} row${rows === 1 ? '' : 's'}`;
    const pass = `${of}: ${wallMs.toPrecision(3)} ms`;
    const shares = new Map<string, number>([['outside native ops', Math.max(0, outsideShare)]]);
    for (const { op, share } of ops) {
      const name = large.has(op) ? op : 'other ops';
      shares.set(name, (shares.get(name) ?? 0) + share * (1 - Math.max(0, outsideShare)));
    }
    return [...shares].map(([op, share]) => ({ pass, op, share }));
  });
  return framed('Where the time goes', [`${model}, ${isa}, ${threads} thread${threads === 1 ? '' : 's'}`], {
    width: 520,
    height: { step: 26 },
    data: { values },
    mark: 'bar',
    encoding: {
      y: { field: 'pass', type: 'nominal', sort: null, axis: { title: null, labelLimit: 320 } },
      x: {
        field: 'share',
        type: 'quantitative',
        stack: 'zero',
        scale: { domain: [0, 1] },
        axis: { title: 'share of wall time', format: '.0%', tickCount: 6 },
      },
      color: { field: 'op', type: 'nominal', legend: { title: null, orient: 'bottom', columns: 4 } },
    },
  });
};
