import { contentHash } from '../core/canonical-json.js';
import type { MethodRef, NumericsName } from '../engine/contract.js';
import type { PlannedCell, ResolvedSuite } from './contract.js';

/** Rises whenever the engine could give an unchanged cell another result; changes of one task or method raise its own version. */
export const BEHAVIOUR_VERSION = 1;

export interface CellIdentity {
  readonly suite: Pick<ResolvedSuite, 'id' | 'version' | 'seed' | 'samples' | 'chatTemplate'>;
  readonly task: ResolvedSuite['tasks'][number];
  readonly taskVersion: number;
  readonly modelSha256: string;
  readonly numerics: NumericsName;
  /** What else tells results apart, such as the backend or the hash of a method's file. Hardware never is. */
  readonly identity: Readonly<Record<string, string | number>>;
}

/** 16 hex digits that stay the same as long as the cell's scores should. */
export const cellIdOf = (cell: Omit<PlannedCell, 'cellId'>, of: CellIdentity): string => {
  const { suite, task } = of;
  const id = {
    suite: { id: suite.id, version: suite.version, chatTemplate: suite.chatTemplate },
    task: {
      id: task.id,
      name: task.name,
      version: of.taskVersion,
      params: withoutFileNames(task.params),
      ask: task.ask,
    },
    maxNewTokens: task.maxNewTokens,
    model: of.modelSha256,
    method: methodIdentity(cell.method),
    budget: { keptFraction: cell.keptFraction, tokenBudget: cell.tokenBudget },
    protocol: cell.protocol,
    numerics: of.numerics,
    length: cell.contextLength,
    seed: suite.seed,
    samples: suite.samples,
    behaviour: BEHAVIOUR_VERSION,
    identity: of.identity,
  };
  return contentHash(id).slice(0, 16);
};

const methodIdentity = ({ id, params, profileSha256, parts }: MethodRef): object => ({
  id,
  params,
  ...(profileSha256 === undefined ? {} : { profile: profileSha256 }),
  ...(parts === undefined ? {} : { parts: parts.map(methodIdentity) }),
});

/** A file that is known by its hash may lie anywhere. */
const withoutFileNames = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutFileNames);
  if (typeof value !== 'object' || value === null) return value;
  const isHashed = 'sha256' in value && value.sha256 !== undefined;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !(isHashed && key === 'file'))
      .map(([key, field]) => [key, withoutFileNames(field)]),
  );
};
