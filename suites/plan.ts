import { contentHash } from '../core/canonical-json.js';
import { WinnowError } from '../core/errors.js';
import type { MethodRef, NumericsName } from '../engine/contract.js';
import type { ModelFacts } from '../methods/contract.js';
import type { PlannedCell, ResolvedSuite } from './contract.js';
import { cellIdOf } from './plan-cell-id.js';
import { type CellGroup, groupCells } from './run-groups.js';
import { findTask } from './tasks/index.js';

/** What a plan must know about a method; the caller reads it from the adapter. */
export interface MethodPlanFacts {
  /** It changes the prefill or the prompt, so the shared dense prefill does not serve it. */
  readonly needsOwnPrefill: boolean;
  /** Without one it runs once per task, length and protocol. */
  readonly hasBudget: boolean;
  /** Goes into the cell's identity beside id and parameters, such as the hash of a file outside the tree. */
  readonly identity?: string;
}

export interface PlanOptions {
  readonly modelSha256: string;
  readonly numerics: NumericsName;
  facts(method: MethodRef): MethodPlanFacts;
  /** For the estimate of bytes and the check against the longest context. */
  readonly model?: Pick<ModelFacts, 'id' | 'layers' | 'elementBytes' | 'maxPositions'>;
  /** Hashes of the data that a task reads, by name: they tell its cells apart. */
  datasets?(task: ResolvedSuite['tasks'][number]): Readonly<Record<string, string>>;
  /** More that tells results apart, such as the backend. */
  readonly identity?: Readonly<Record<string, string | number>>;
}

export interface Plan {
  readonly cells: readonly PlannedCell[];
  /** Cells that share samples and one dense prefill of each. */
  readonly groups: readonly CellGroup[];
  /** Cells that the suite leaves out, with its reason. */
  readonly excluded: readonly (Omit<PlannedCell, 'cellId'> & { readonly reason: string })[];
  readonly samplesPerCell: number;
  /** Prefills that will run, and what one per cell and sample would be. */
  readonly prefills: number;
  readonly prefillsUnshared: number;
  /** Upper estimate of the KV bytes alive at once: one dense cache and what each fork of the largest group keeps. 0 without a model. */
  readonly bytes: number;
}

/** The cells of a suite in the order in which they run: task, length, protocol, method, budget. Throws ERR_SUITE and ERR_UNSUPPORTED. */
export const planSuite = (suite: ResolvedSuite, options: PlanOptions): Plan => {
  const cells: PlannedCell[] = [];
  const excluded: Plan['excluded'][number][] = [];
  for (const cell of candidates(suite, options)) {
    const rule = suite.exclude.find((one) => isExcluded(cell, one));
    if (rule !== undefined) excluded.push({ ...cell, reason: rule.reason });
    else cells.push({ cellId: identify(suite, cell, options), ...cell });
  }
  const groups = groupCells(cells);
  const perSample = groups.map(({ cells: members }) => {
    const own = members.filter(({ method }) => options.facts(method).needsOwnPrefill).length;
    return own + (own < members.length ? 1 : 0);
  });
  return {
    cells,
    groups,
    excluded,
    samplesPerCell: suite.samples,
    prefills: suite.samples * perSample.reduce((sum, count) => sum + count, 0),
    prefillsUnshared: suite.samples * cells.length,
    bytes: Math.max(0, ...groups.map((group) => groupBytes(group, options))),
  };
};

type Cell = Omit<PlannedCell, 'cellId'>;

function* candidates(suite: ResolvedSuite, { facts, model }: PlanOptions): Generator<Cell> {
  for (const task of suite.tasks) {
    for (const contextLength of task.lengths ?? suite.lengths) {
      checkLength(task.name, contextLength, model);
      for (const protocol of suite.protocols) {
        for (const method of suite.methods) {
          for (const budget of facts(method).hasBudget ? budgetsOf(suite, method) : [{}]) {
            yield { task: task.id, taskName: task.name, contextLength, method, ...budget, protocol };
          }
        }
      }
    }
  }
}

const budgetsOf = (suite: ResolvedSuite, { id }: MethodRef): Pick<Cell, 'keptFraction' | 'tokenBudget'>[] => {
  const budgets = [
    ...suite.keptFractions.map((keptFraction) => ({ keptFraction })),
    ...suite.tokenBudgets.map((tokenBudget) => ({ tokenBudget })),
  ];
  if (budgets.length > 0) return budgets;
  const fix = 'Add keptFractions: [0.5, 0.25] to the suite, or --kept-fraction.';
  throw new WinnowError(
    'ERR_SUITE',
    `${suite.id} keptFractions`,
    `at least one budget, which ${id} needs`,
    'none',
    fix,
  );
};

const checkLength = (task: string, length: number, model: PlanOptions['model']): void => {
  if (model === undefined || length <= model.maxPositions) return;
  const expected = `a length of at most ${model.maxPositions} tokens, the longest context of ${model.id}`;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    `${task} length`,
    expected,
    length,
    'Choose shorter ones with --length, or a model with a longer context with --model.',
  );
};

const identify = (
  suite: ResolvedSuite,
  cell: Cell,
  { modelSha256, numerics, facts, identity = {}, datasets }: PlanOptions,
): string => {
  const task = suite.tasks.find(({ name }) => name === cell.taskName)!;
  const methodPart = facts(cell.method).identity;
  return cellIdOf(cell, {
    suite,
    task,
    taskVersion: findTask(task.id)?.version ?? 0,
    modelSha256,
    numerics,
    identity: { ...identity, ...datasets?.(task), ...(methodPart === undefined ? {} : { method: methodPart }) },
  });
};

const isExcluded = (cell: Cell, { method, when = {} }: ResolvedSuite['exclude'][number]): boolean => {
  if (cell.method.id !== method) return false;
  const has = (key: string, ...values: unknown[]): boolean => {
    const listed = when[key];
    return listed === undefined || (Array.isArray(listed) && listed.some((one) => values.includes(one)));
  };
  const params = Object.entries((when.params ?? {}) as Record<string, unknown>);
  return (
    has('task', cell.task, cell.taskName) &&
    has('length', cell.contextLength) &&
    has('keptFraction', cell.keptFraction) &&
    has('tokenBudget', cell.tokenBudget) &&
    has('protocol', cell.protocol) &&
    params.every(([key, value]) => contentHash(cell.method.params[key] ?? null) === contentHash(value))
  );
};

const groupBytes = ({ cells, contextLength }: CellGroup, { facts, model }: PlanOptions): number => {
  if (model === undefined) return 0;
  const elements = model.layers.reduce((sum, { mixer, numKvHeads, headDim, headDimV, kvSource }, layer) => {
    return sum + (mixer === 'softmax' && kvSource === layer ? numKvHeads * (headDim + headDimV) : 0);
  }, 0);
  const keptTokens = cells.reduce((sum, { method, keptFraction, tokenBudget }) => {
    if (!facts(method).hasBudget) return sum;
    return sum + Math.min(contextLength, tokenBudget ?? Math.floor((keptFraction ?? 1) * contextLength));
  }, contextLength);
  return keptTokens * elements * model.elementBytes;
};
