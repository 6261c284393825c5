/** A decode step of rows that are given one token each, and what can be done for the next while a device works on it. */
import type { WinnowError } from '../../core/errors.js';
import type { DecodeRequest } from './decode.js';
import type { Picker } from './given.js';
import type { Group } from './group.js';
import { editLogits } from './output.js';
import type { Row } from './rows.js';
import type { ModelContext } from './sample.js';
import { type PreparedStep, prepareStep, runStep, type StepRow } from './step.js';

interface PlainStep {
  readonly step: number;
  readonly next: Map<Row, number>;
  readonly request: Pick<DecodeRequest, 'recallSteps'>;
  readonly failed: Map<Group, WinnowError>;
  readonly picker: Picker;
  tokens(group: Group, row: number): Int32Array;
  book(group: Group, row: Row, read: StepRow): void;
}

/** The next step of groups, unless one of them ends before. */
export interface ReadyStep {
  readonly groups: readonly Group[];
  readonly prepared: PreparedStep;
}

/** One token for every row of every group, as one batch. */
export const stepPlain = (
  context: ModelContext,
  groups: readonly Group[],
  ready: ReadyStep | undefined,
  { step, next, request, tokens, book, failed, picker }: PlainStep,
): ReadyStep => {
  const isReady = ready?.groups.length === groups.length && groups.every((group, i) => group === ready.groups[i]);
  const prepared = isReady ? ready.prepared : prepareStep({ groups, queryLen: 1 });
  const { rows } = prepared;
  const ids = new Int32Array(rows.length);
  for (let r = 0; r < rows.length; r++) ids[r] = next.get(rows[r]!)!;
  const outcome = runStep(context, context.transformer, {
    groups,
    ids,
    queryLen: 1,
    phase: 'answer',
    step,
    logits: 'last',
    recall: step <= request.recallSteps,
    prepared,
  });
  for (const [group, error] of outcome.failures) failed.set(group, error);
  // Before the tokens are asked for: a device works on, and when it has chosen it waits for nothing but the next step.
  let booked = 0;
  for (const group of groups) for (const row of group.rows) book(group, row, outcome.rows[booked++]!);
  const following = { groups, prepared: prepareStep({ groups, queryLen: 1 }) };
  const chosen = context.device.scope(() => {
    const fedToken = (group: Group, r: number): number => next.get(group.rows[r]!)!;
    const moment = { groups, logits: outcome.logits, phase: 'answer' as const, step, queryLen: 1, tokens, fedToken };
    return picker.next(editLogits(context, moment, failed), rows, step);
  });
  for (let r = 0; r < rows.length; r++) next.set(rows[r]!, chosen[r]!);
  return following;
};
