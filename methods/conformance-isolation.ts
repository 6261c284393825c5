/** Runs hooks where clock, chance, environment, network and files are out of reach (C2). */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { watchHooks } from './conformance-watch.js';
import type { Method } from './contract.js';

/** The same method; whatever its hooks reach for outside the view throws, and what they leave behind in globals is reported. */
export const isolated = (method: Method): Method =>
  watchHooks(method, (place, args, call) => {
    const before = Object.getOwnPropertyNames(globalThis);
    const restore = closeDoors(`${method.id}.${place}`);
    const settle = (): void => {
      restore();
      const left = Object.getOwnPropertyNames(globalThis).filter((name) => !before.includes(name));
      if (left.length > 0) throw new Error(`${method.id}.${place} left globals behind: ${left.join(', ')}`);
    };
    let result: unknown;
    try {
      result = call(args);
    } catch (thrown) {
      restore();
      throw thrown;
    }
    if (!(result instanceof Promise)) {
      settle();
      return result;
    }
    return result.finally(settle);
  });

const closeDoors = (where: string): (() => void) => {
  const undo: (() => void)[] = [];
  const close = (owner: object, name: string): void => {
    const door = Object.getOwnPropertyDescriptor(owner, name);
    if (door === undefined) return;
    Object.defineProperty(owner, name, {
      configurable: true,
      get: () => {
        throw new Error(`${where} reached for ${name}`);
      },
    });
    undo.push(() => Object.defineProperty(owner, name, door));
  };
  for (const name of ['Date', 'fetch', 'setTimeout', 'setInterval', 'setImmediate', 'crypto', 'performance'])
    close(globalThis, name);
  close(Math, 'random');
  close(process, 'env');
  const files = ['readFileSync', 'writeFileSync', 'existsSync', 'openSync', 'statSync', 'readdirSync'] as const;
  const kept = files.map((name) => fs[name]);
  for (const name of files) {
    Object.assign(fs, {
      [name]: () => {
        throw new Error(`${where} reached for ${name}`);
      },
    });
  }
  syncBuiltinESMExports();
  return () => {
    for (const step of undo.reverse()) step();
    files.forEach((name, i) => {
      Object.assign(fs, { [name]: kept[i] });
    });
    syncBuiltinESMExports();
  };
};
