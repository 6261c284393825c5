/** Layers that read the cache of an earlier layer and hold none of their own. */
import { WinnowError } from '../../core/errors.js';
import type { LayerShape } from '../../methods/contract.js';
import { columnNeeds } from './column-stats.js';
import { isPlainLayout } from './plan-keys.js';
import type { ResolvedSetting } from './settings.js';

/** KV heads that attention of a layer reads: its own, or those of the layer whose cache it shares. */
export const headsRead = (shapes: readonly LayerShape[], layer: number): number =>
  shapes[shapes[layer]!.kvSource]!.numKvHeads;

/** A layer that reads the cache of an earlier one: of the same widths, with nothing cached of its own. */
export const checkSharedLayer = (at: string, shapes: readonly LayerShape[], layer: number): void => {
  const { mixer, numQueryHeads, numKvHeads, headDim, headDimV, kvSource, evictable } = shapes[layer]!;
  const source = shapes[kvSource];
  if (source === undefined || kvSource > layer || source.kvSource !== kvSource || source.mixer !== 'softmax')
    throw new WinnowError(
      'ERR_CONTRACT',
      `${at}.kvSource`,
      'an earlier softmax layer with a cache of its own',
      kvSource,
    );
  const fits =
    mixer === 'softmax' &&
    numQueryHeads % source.numKvHeads === 0 &&
    headDim === source.headDim &&
    headDimV === source.headDimV;
  if (!fits || numKvHeads !== 0 || evictable)
    throw new WinnowError(
      'ERR_CONTRACT',
      at,
      `no KV heads, nothing to evict, and query heads for those of layer ${kvSource} (${source.numKvHeads} of ${source.headDim} and ${source.headDimV})`,
      `${numKvHeads} KV heads, ${numQueryHeads} query heads of ${headDim} and ${headDimV}`,
    );
};

/** Layers that read another's cache are read whole, as they are: what watches or plans attention by layer is refused. */
export const checkSharing = (shapes: readonly LayerShape[], setting: ResolvedSetting): void => {
  if (shapes.every(({ kvSource }, layer) => kvSource === layer)) return;
  const { prefill, assemble, decode, cache } = setting.hooks();
  const { layout, needs } = setting.declaration;
  const acts = prefill ?? assemble ?? decode ?? cache?.onWrite ?? cache?.maintain;
  if (acts === undefined && isPlainLayout(layout) && !layout.tier && columnNeeds(needs).length === 0) return;
  throw new WinnowError(
    'ERR_UNSUPPORTED',
    setting.bound.method.id,
    'a method that acts on the cache at the end of the prefill alone, where layers share a cache',
    'hooks, views or a layout for single layers',
  );
};
