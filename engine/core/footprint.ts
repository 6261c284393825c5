/** Bytes that a row holds, measured and by formula. */
import { companionBytes, expectedCompanionBytes } from './companions.js';
import type { Group } from './group.js';
import { headOffset } from './prefill.js';
import { expectedBytes, type Row } from './rows.js';
import type { ModelContext } from './sample.js';
import { awayBytes } from './tier.js';

export const residentBytes = (context: ModelContext, group: Group, row: Row): number =>
  context.device.addon.cacheBytes(row.cache) -
  awayBytes(context, row) +
  fixedBytes(context) +
  companionBytes(context, group, row) +
  stateBytes(context, group, row);

export const stateBytes = (context: ModelContext, group: Group, row: Row): number =>
  group.state.isEmpty
    ? 0
    : group.state.bytes(
        context.shapes.map((shape, layer) => {
          const offset = headOffset(context.shapes, layer);
          return row.slots.subarray(offset, offset + shape.numKvHeads);
        }),
      );

/** What `residentBytes` must come to: slots x widths, twins and the declared state. */
export const expectedResidentBytes = (context: ModelContext, group: Group, row: Row): number =>
  expectedBytes(row, context.shapes, context.elementBytes) +
  fixedBytes(context) +
  expectedCompanionBytes(context, group, row) +
  stateBytes(context, group, row);

/** State of layers that hold something else than slots: every sequence has it, whatever its length. */
const fixedBytes = ({ shapes }: ModelContext): number => shapes.reduce((sum, shape) => sum + shape.fixedStateBytes, 0);
