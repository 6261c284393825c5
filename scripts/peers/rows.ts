import type { BenchRow } from '../bench-rows.js';
import { busyCoreRows, loadRows, memoryRows, overheadRows } from './engine-rows.js';
import { attentionRows, gemmRows } from './kernel-rows.js';
import { batchRows, decodeRows, matrixRows, ortRows, prefillRows, referenceRows } from './model-rows.js';
import type { Workbench } from './workbench.js';

/** What bench:peers measures, by the name that --rows takes, in the order of the table. */
export const peerRows = {
  prefill: prefillRows,
  reference: referenceRows,
  ort: ortRows,
  attention: attentionRows,
  gemm: gemmRows,
  decode: decodeRows,
  batch: batchRows,
  matrix: matrixRows,
  load: loadRows,
  memory: memoryRows,
  overhead: overheadRows,
  'busy-core': busyCoreRows,
} as const satisfies Record<string, (bench: Workbench) => AsyncGenerator<BenchRow>>;

export type PeerRowsName = keyof typeof peerRows;
export const peerRowsNames = Object.keys(peerRows) as PeerRowsName[];
