/** Evictors that act once, when the prefill ends: a score per slot, slots that always stay, and the best of the rest. */
import { keepsEverything, keepTop, type Protection, requireRoom } from './budget.js';
import type {
  CacheView,
  Declaration,
  Hooks,
  LayerActions,
  Method,
  ModelFacts,
  Scope,
  Scorer,
  Setting,
  Tensor,
} from './contract.js';
import { declaration } from './declaration.js';

export type Identity<P extends object> = Omit<
  Method<P>,
  'declare' | 'hooks' | 'budgetAxis' | 'budgetControl' | 'family'
> &
  Partial<Pick<Method<P>, 'family'>>;

export interface EvictorParts<P extends object> {
  /** What `score` looks at, and properties that fail by design. */
  readonly declares?: (params: P) => Partial<Declaration>;
  /** A list per KV head, or one for the layer. */
  readonly scope?: Extract<Scope, 'kvHead' | 'layer'>;
  readonly protect: (params: P) => Protection;
  readonly comparable: Scorer['comparable'];
  /** f32 [1 or rows, numKvHeads or 1, slots]; higher stays. Sees no budget, so one call serves all budgets of a sample. */
  readonly score: (view: CacheView, params: P) => Tensor;
}

/** A method that also offers its score as a part, for allocators and compositions. */
export interface Evictor<P extends object = object> extends Method<P> {
  scorer(params: P): Scorer;
  protection(params: P): Protection;
}

export const defineEvictor = <P extends object>(evictor: Identity<P> & EvictorParts<P>): Evictor<P> => {
  const { declares, scope = 'kvHead', protect, comparable, score, ...identity } = evictor;
  return {
    family: 'eviction',
    budgetAxis: 'residentBytes',
    budgetControl: 'exact',
    ...identity,
    declare: ({ params }) => declaration(declares?.(params)),
    hooks: (setting) => evictionHooks(setting, { id: identity.id, scope, protection: protect(setting.params), score }),
    protection: protect,
    scorer: (params) => ({ comparable, seesBudget: false, score: (view) => score(view, params) }),
  };
};

interface Eviction<P extends object> extends Pick<EvictorParts<P>, 'score'> {
  readonly id: string;
  readonly scope: Scope;
  readonly protection: Protection;
}

const evictionHooks = <P extends object>(
  { params, budget }: Setting<P>,
  { id, scope, protection, score }: Eviction<P>,
): Hooks => ({
  admit: (sequence) => requireRoom(id, budget, protection, sequence),
  cache: {
    finishPrefill: (views) =>
      evictableLayers(views).map((view) => keepAction(view, keepTop(view, score(view, params), protection, scope))),
  },
});

/** Layers to evict from; none when every row keeps everything, so that a full budget costs nothing. */
export const evictableLayers = (views: readonly CacheView[]): CacheView[] =>
  views.filter((view) => view.shape.evictable && !view.rows.budgets.every(keepsEverything));

export const keepAction = (view: CacheView, slots: ReturnType<typeof keepTop>): LayerActions => ({
  layer: view.layer,
  actions: [{ kind: 'keep', slots }],
});

/** Layers whose cache can shrink, in order. */
export const evictableLayerIndices = (model: ModelFacts): number[] =>
  model.layers.flatMap((layer, index) => (layer.evictable ? [index] : []));
