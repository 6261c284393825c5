/** Sliding layers give back the pages that no later query sees. */
import { WinnowError } from '../../core/errors.js';
import type { LayerShape } from '../../methods/contract.js';
import type { CacheId } from '../../native/addon-types.js';
import type { Device } from './device.js';
import type { GroupContext } from './group.js';
import { PAGE_SLOTS, type Row } from './rows.js';

/** Slots behind the window that stay: so many tokens may be taken back after they were fed. */
const SPARE_SLOTS = 64;

/** Leading slots that a layer of `length` slots at as many positions has given back: whole pages behind the window of the next query. */
export const releasable = ({ slidingWindow }: LayerShape, length: number): number =>
  slidingWindow === undefined
    ? 0
    : Math.floor(Math.max(0, length - (slidingWindow - 1) - SPARE_SLOTS) / PAGE_SLOTS) * PAGE_SLOTS;

/** After a pass over a cache whose positions follow its slots. */
export const releaseBehind = (
  { addon }: Device,
  shapes: readonly LayerShape[],
  cache: CacheId,
  nextPosition: number,
): void => {
  shapes.forEach(({ slidingWindow }, layer) => {
    if (slidingWindow !== undefined) addon.cacheRelease(cache, layer, nextPosition - slidingWindow + 1 - SPARE_SLOTS);
  });
};

/** After a step: what the row's sliding layers no longer need, in memory and in the books. */
export const releaseRow = ({ device, shapes }: GroupContext, row: Row): void => {
  const { released } = row;
  if (released === undefined) return;
  let index = 0;
  shapes.forEach((shape, layer) => {
    const first = index;
    index += shape.numKvHeads;
    const slots = releasable(shape, row.slots[first] ?? 0);
    if (slots <= released[layer]!) return;
    device.addon.cacheRelease(row.cache, layer, row.nextPosition - shape.slidingWindow! + 1 - SPARE_SLOTS);
    released[layer] = slots;
    for (let i = first; i < index; i++) row.evidenceSlots.delete(i);
  });
};

/** Throws where taking tokens back would bring what was given back into sight again. */
export const checkInReach = (shapes: readonly LayerShape[], row: Row): void => {
  let index = 0;
  shapes.forEach((shape, layer) => {
    const length = row.slots[index] ?? 0;
    index += shape.numKvHeads;
    const missing = (row.released?.[layer] ?? 0) - Math.max(0, length - ((shape.slidingWindow ?? 0) - 1));
    if (missing > 0)
      throw new WinnowError(
        'ERR_INTERNAL',
        `rollBack.layer ${layer}`,
        `at most ${SPARE_SLOTS} tokens taken back from a sliding layer`,
        `${missing} slots that were given back`,
      );
  });
};
