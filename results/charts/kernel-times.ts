import type { TopLevelSpec } from 'vega-lite';
import { distinct } from '../averages.js';
import { framed, heading, legendBelow, lengthLabel } from './theme.js';

/** A time that counts: of a kernel whose parity cases passed, or of another library. */
export interface KernelTime {
  readonly workload: Readonly<Record<string, number | string>> & { readonly name: string };
  readonly solution: string;
  readonly ms: number;
  readonly tflops?: number | undefined;
  readonly gbps?: number | undefined;
  /** Of the copy bandwidth of the same run. */
  readonly ofCopy?: number | undefined;
}

interface Place {
  readonly row: string;
  readonly solution: string;
  readonly value: number;
}
interface Panel {
  readonly title: string;
  readonly axis: string;
  /** A dashed line: what the times are held against. */
  readonly yardstick?: number;
  readonly places: readonly Place[];
}

const names: Readonly<Record<string, string>> = {
  winnow: 'Winnow',
  'winnow-paged': 'Winnow, from pages',
  'torch-sdpa-cudnn': 'PyTorch, cuDNN',
  'torch-sdpa-flash': 'PyTorch, flash',
};
const width = 430;

/**
 * Attention kernels beside PyTorch's and the limits of the device: dense prefill in TFLOP/s, decode as a share of copy bandwidth, block lists
 * as time over density times the dense time. Undefined where the lines hold none of these.
 */
export const kernelTimes = (times: readonly KernelTime[], device: string): TopLevelSpec | undefined => {
  const known = times.filter(({ solution }) => names[solution] !== undefined);
  const panels = [prefill(known), decode(known), lists(times)].filter(({ places }) => places.length > 0);
  if (panels.length === 0) return undefined;
  const used = new Set(panels.flatMap(({ places }) => places.map(({ solution }) => solution)));
  const domain = Object.values(names).filter((name) => used.has(name));
  return framed(
    'Attention kernels: keys and values of d channels',
    [`${device}, bf16. Medians of one run; PyTorch's in the next process on the same device.`],
    { spacing: 26, vconcat: panels.map((panel) => panelOf(panel, domain)) },
  );
};

const prefill = (times: readonly KernelTime[]): Panel => ({
  title: 'dense causal prefill',
  axis: 'TFLOP/s',
  places: times
    .filter(({ workload: { name }, tflops }) => name.startsWith('prefill-d') && tflops !== undefined)
    .map(({ workload, solution, tflops }) => ({
      row: `${tokensOf(workload.queryLen)}, ${headsOf(workload)}`,
      solution: names[solution]!,
      value: tflops!,
    })),
});

const decode = (times: readonly KernelTime[]): Panel => {
  const ours = times.find(({ gbps, ofCopy }) => gbps !== undefined && ofCopy !== undefined);
  const copyGbps = ours === undefined ? undefined : ours.gbps! / ours.ofCopy!;
  return {
    title: 'decode: bytes read, against copies',
    axis: 'share of copy bandwidth',
    yardstick: 1,
    places: times.flatMap(({ workload, solution, gbps }) => {
      const kind = /^decode-(all|pages|tokens)-.*?(?:-(\d+%))?(?:-page(\d+))?$/.exec(workload.name);
      if (kind === null || gbps === undefined || copyGbps === undefined) return [];
      const [, what, share, pageSize] = kind;
      const read = what === 'all' ? '' : `, ${share} of its ${what}${pageSize === undefined ? '' : ` of ${pageSize}`}`;
      const rows = Number(workload.batch ?? 1) > 1 ? `${workload.batch} × ` : '';
      const row = `${rows}${tokensOf(workload.kvLen)}, ${headsOf(workload)}${read}`;
      return [{ row, solution: names[solution]!, value: gbps / copyGbps }];
    }),
  };
};

/** Dense of the same workload takes turns with the lists. */
const lists = (times: readonly KernelTime[]): Panel => ({
  title: 'prefill by lists of 64-token blocks',
  axis: 'time over density × dense time',
  yardstick: 1,
  places: times.flatMap(({ workload, solution, ms }) => {
    const { name, density } = workload;
    if (!name.startsWith('prefill-list-') || solution !== 'winnow' || typeof density !== 'number') return [];
    const dense = times.find((one) => one.workload.name === name && one.solution === 'winnow-dense');
    if (dense === undefined) return [];
    const row = `${tokensOf(workload.queryLen)}, density ${density.toFixed(2)}`;
    return [{ row, solution: names.winnow!, value: ms / (density * dense.ms) }];
  }),
});

const tokensOf = (tokens: number | string | undefined): string => `${lengthLabel(Number(tokens))} tokens`;
const headsOf = ({ headDim, numQueryHeads, numKvHeads }: KernelTime['workload']): string =>
  `d ${headDim}, ${numQueryHeads}/${numKvHeads} heads`;

const panelOf = ({ title, axis, yardstick, places }: Panel, domain: readonly string[]): object => {
  const rows = distinct(places.map(({ row }) => row));
  const x = { type: 'quantitative', scale: { zero: true, nice: true }, axis: { title: axis, tickCount: 6 } };
  const color = { field: 'solution', type: 'nominal', scale: { domain, range: colours.slice(0, domain.length) } };
  return {
    width,
    height: rows.length * 18,
    title: heading(title),
    layer: [
      ...(yardstick === undefined
        ? []
        : [
            {
              data: { values: [{}] },
              mark: { type: 'rule', strokeDash: [5, 4], color: '#000000', opacity: 0.65 },
              encoding: { x: { ...x, datum: yardstick } },
            },
          ]),
      {
        data: { values: places },
        mark: { type: 'point', filled: true, size: 60, opacity: 1 },
        encoding: {
          y: {
            field: 'row',
            type: 'nominal',
            scale: { domain: rows },
            axis: { title: null, labelLimit: 640, grid: true },
          },
          x: { ...x, field: 'value' },
          color: { ...color, legend: legendBelow(domain, width) },
          shape: {
            ...color,
            scale: { domain, range: shapes.slice(0, domain.length) },
            legend: legendBelow(domain, width),
          },
        },
      },
    ],
  };
};

const colours = ['#0072B2', '#56B4E9', '#D55E00', '#E69F00'];
const shapes = ['circle', 'square', 'triangle-up', 'diamond'];
