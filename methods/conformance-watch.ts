/** Methods with every hook call observed, for the conformance suite. */
import type { Declaration, Hooks, Method, StateView } from './contract.js';

type Hook = (...args: never[]) => unknown;
/** Called instead of a hook; `call` runs it with the given arguments. */
export type Around = (place: string, args: readonly unknown[], call: (args: readonly unknown[]) => unknown) => unknown;

/** The same method with `around` called in place of each hook. */
export const watchHooks = (method: Method, around: Around): Method => ({
  ...method,
  hooks: (setting, model) => wrapGroup('', method.hooks(setting, model) as unknown as HookGroup, around) as Hooks,
});

/** The same method with another declaration. */
export const redeclare = (method: Method, change: (declared: Declaration) => Partial<Declaration>): Method => ({
  ...method,
  declare: (setting, model) => {
    const declared = method.declare(setting, model);
    return { ...declared, ...change(declared) };
  },
});

interface HookGroup {
  readonly [name: string]: Hook | HookGroup | undefined;
}

const wrapGroup = (prefix: string, group: HookGroup, around: Around): HookGroup => {
  const wrapped: Record<string, Hook | HookGroup> = {};
  for (const [name, member] of Object.entries(group)) {
    if (member === undefined) continue;
    const place = prefix === '' ? name : `${prefix}.${name}`;
    wrapped[name] =
      typeof member === 'function'
        ? (...args) => around(place, args, (given) => member(...(given as never[])))
        : wrapGroup(place, member, around);
  }
  return wrapped;
};

/** What hooks looked at: names of view functions, `state:<field>`, `evidence`, `tokenIds`. */
export const recordViews = (method: Method, seen: Set<string>): Method =>
  watchHooks(method, (_place, args, call) =>
    call(args.map((arg) => (Array.isArray(arg) ? arg.map((view) => recorded(view, seen)) : recorded(arg, seen)))),
  );

const viewFunctions = new Set(['windowQueries', 'columnStats', 'probs', 'queries', 'keys', 'values', 'hidden', 'lse']);
const sequenceFacts = new Set(['evidence', 'tokenIds']);

const recorded = (value: unknown, seen: Set<string>): unknown => {
  if (typeof value !== 'object' || value === null) return value;
  return new Proxy(value, {
    get: (target, key) => {
      const member = Reflect.get(target, key) as unknown;
      const name = String(key);
      if (viewFunctions.has(name) || (sequenceFacts.has(name) && member !== undefined)) seen.add(name);
      if (name === 'rows' && typeof member === 'object') return recorded(member, seen);
      if (name === 'sequences' && Array.isArray(member)) return member.map((sequence) => recorded(sequence, seen));
      if (name === 'state') return recordedState(member as StateView, seen);
      return member;
    },
  });
};

const recordedState = (state: StateView, seen: Set<string>): StateView => ({
  read: (field) => {
    seen.add(`state:${field}`);
    return state.read(field);
  },
  write: (field, value) => state.write(field, value),
  append: (field, value) => state.append(field, value),
});
