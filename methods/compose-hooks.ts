/** The hooks of several parts as one: every place has one owner, only notifications and cache plans are joined. */
import { WinnowError } from '../core/errors.js';
import { cacheViewOf, chunkViewOf, type PartLens, stepViewOf } from './compose-views.js';
import type { CachePlan, CacheView, Fork, Hooks, LayerActions, StepView } from './contract.js';

export interface PartHooks {
  readonly lens: PartLens;
  readonly hooks: Hooks;
}

export const joinHooks = (where: string, parts: readonly PartHooks[]): Hooks => ({
  admit: (sequence) => {
    for (const { hooks } of parts) hooks.admit?.(sequence);
  },
  ...joinPrefill(where, parts),
  ...joinCache(parts),
  ...joinDecode(where, parts),
});

/** The part that owns a place, if any; two owners cannot be reconciled. */
const ownerOf = (
  where: string,
  place: string,
  parts: readonly PartHooks[],
  has: (hooks: Hooks) => unknown,
): PartHooks | undefined => {
  const owners = parts.filter(({ hooks }) => has(hooks) !== undefined);
  if (owners.length <= 1) return owners[0];
  const names = owners.map(({ lens }) => lens.id).join(' and ');
  throw new WinnowError('ERR_COMPOSE', where, `one owner of ${place}`, names, 'Leave one of them out.');
};

const joinPrefill = (where: string, parts: readonly PartHooks[]): Pick<Hooks, 'prefill'> => {
  const owner = ownerOf(where, 'prefill', parts, (hooks) => hooks.prefill);
  if (owner === undefined) return {};
  const { lens, hooks } = owner;
  const { plan, tokens } = hooks.prefill!;
  return {
    prefill: {
      ...(plan === undefined ? {} : { plan: (view) => plan(chunkViewOf(lens, view)) }),
      ...(tokens === undefined ? {} : { tokens: (view, at) => tokens(chunkViewOf(lens, view), at) }),
    },
  };
};

/** Plans in the order of the parts, so that a quantiser acts on what an evictor left. */
const joinCache = (parts: readonly PartHooks[]): Pick<Hooks, 'cache'> => {
  const acting = parts.filter(({ hooks }) => hooks.cache !== undefined);
  if (acting.length === 0) return {};
  const having = (name: keyof NonNullable<Hooks['cache']>): PartHooks[] =>
    acting.filter(({ hooks }) => hooks.cache?.[name] !== undefined);
  const [writing, layering, maintaining, finishing] = [
    having('onWrite'),
    having('finishLayer'),
    having('maintain'),
    having('finishPrefill'),
  ];
  return {
    cache: {
      ...(writing.length === 0
        ? {}
        : {
            onWrite: (view) =>
              writing.forEach(({ lens, hooks }) => void hooks.cache!.onWrite!(chunkViewOf(lens, view))),
          }),
      ...(layering.length === 0 ? {} : { finishLayer: (view) => joinLayer(layering, view) }),
      ...(maintaining.length === 0
        ? {}
        : {
            maintain: (views) =>
              maintaining.flatMap(({ lens, hooks }) =>
                hooks.cache!.maintain!(views.map((view) => cacheViewOf(lens, view))),
              ),
          }),
      ...(finishing.length === 0 ? {} : { finishPrefill: (views, fork) => joinFinish(finishing, views, fork) }),
    },
  };
};

const joinLayer = (parts: readonly PartHooks[], view: CacheView): LayerActions => ({
  layer: view.layer,
  actions: parts.flatMap(({ lens, hooks }) => hooks.cache!.finishLayer!(cacheViewOf(lens, view)).actions),
});

const joinFinish = (
  parts: readonly PartHooks[],
  views: readonly CacheView[],
  fork: Fork,
): CachePlan | Promise<CachePlan> => {
  const plans = parts.map(({ lens, hooks }) =>
    hooks.cache!.finishPrefill!(
      views.map((view) => cacheViewOf(lens, view)),
      fork,
    ),
  );
  return plans.some((plan) => plan instanceof Promise)
    ? Promise.all(plans).then((all) => all.flat())
    : (plans as CachePlan[]).flat();
};

const joinDecode = (where: string, parts: readonly PartHooks[]): Pick<Hooks, 'decode'> => {
  const acting = parts.filter(({ hooks }) => hooks.decode !== undefined);
  if (acting.length === 0) return {};
  const begins = ownerOf(where, 'decode.beginStep', parts, (hooks) => hooks.decode?.beginStep);
  const selects = ownerOf(where, 'decode.select', parts, (hooks) => hooks.decode?.select);
  const listening = acting.filter(({ hooks }) => hooks.decode?.afterAttend !== undefined);
  const committing = acting.filter(({ hooks }) => hooks.decode?.commit !== undefined);
  const tell = (listeners: readonly PartHooks[], hook: 'afterAttend' | 'commit') => (view: StepView) =>
    listeners.forEach(({ lens, hooks }) => void hooks.decode![hook]!(stepViewOf(lens, view)));
  return {
    decode: {
      ...(begins === undefined
        ? {}
        : { beginStep: (view) => begins.hooks.decode!.beginStep!(stepViewOf(begins.lens, view)) }),
      ...(selects === undefined
        ? {}
        : { select: (view) => selects.hooks.decode!.select!(stepViewOf(selects.lens, view)) }),
      ...(listening.length === 0 ? {} : { afterAttend: tell(listening, 'afterAttend') }),
      ...(committing.length === 0 ? {} : { commit: tell(committing, 'commit') }),
    },
  };
};
