import { CACHE_KINDS } from '../../engine/cache-content.js';
import { defineCommand } from '../command.js';
import { choice, choices, flag, json, required, whole } from '../flags.js';

const DAY_MS = 86_400_000;

export const cache = defineCommand({
  name: 'cache',
  summary: 'Show what lies in the cache folder, and remove what is no longer wanted.',
  positionals: { action: required(choice('prune shows what would go; with --yes it goes.', ['list', 'prune'])) },
  required: 1,
  flags: {
    kind: choices('Only these kinds. Default: all to list; hub and other to prune.', CACHE_KINDS),
    olderThan: whole('Only what was last written so many days ago.', 'DAYS', 0),
    yes: flag('Remove; without it nothing is removed.'),
    json,
  },
  examples: [
    ['$0 cache list', 'models, datasets and peers with their sizes'],
    ['$0 cache prune --kind peers --yes', 'frees what npm run bench:peers installed'],
  ],
  async run({ action, kind, olderThan, yes, json: asJson }, terminal) {
    const [{ cacheEntries, removeEntry }, { cacheFolder }, { alignColumns }] = await Promise.all([
      import('../../engine/cache-content.js'),
      import('../../engine/models-cache.js'),
      import('../columns.js'),
    ]);
    const kinds = kind ?? (action === 'prune' ? ['hub', 'other'] : CACHE_KINDS);
    const before = Date.now() - (olderThan ?? 0) * DAY_MS;
    const chosen = cacheEntries().filter((entry) => kinds.includes(entry.kind) && entry.changedAt.getTime() <= before);
    const removes = action === 'prune' && yes;
    if (removes) for (const entry of chosen) removeEntry(entry);
    const total = chosen.reduce((sum, { bytes }) => sum + bytes, 0);
    if (asJson) {
      terminal.printJson({ folder: cacheFolder(), bytes: total, removed: removes, entries: chosen });
      return 0;
    }
    const rows = chosen.map((entry) => [
      entry.kind,
      entry.name,
      megabytes(entry.bytes),
      entry.changedAt.toISOString().slice(0, 10),
    ]);
    if (rows.length > 0) terminal.print(alignColumns([['kind', 'name', 'size', 'written'], ...rows]));
    const what = action === 'list' ? 'in' : removes ? 'removed from' : 'would be removed (add --yes) from';
    terminal.print(`${megabytes(total)} ${what} ${cacheFolder()}`);
    return 0;
  },
});

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
