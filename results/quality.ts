import type { RunRecord } from './schema.js';

/** Whether scores of a run mean anything: not where the weights are random. Such runs are about time, memory and bytes. */
export const isScored = ({ model }: Pick<RunRecord, 'model'>): boolean => !model.id.startsWith('random:');
