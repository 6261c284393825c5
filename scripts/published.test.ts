/** What the project publishes is what it says, and is the run of the suite that stands beside it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { contentHash } from '../core/canonical-json.js';
import { readRunRecord } from '../results/run-files.js';
import { settingLabel, summariseRun } from '../results/summary.js';
import { verifyRun } from '../results/verify.js';
import { loadSuite } from '../suites/index.js';
import { rescore } from '../suites/rescore.js';

const folder = fileURLToPath(new URL('../results/published', import.meta.url));
const runs = (existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : [])
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => join(folder, name));

test('there is a published run', () => assert.ok(runs.length > 0));

for (const dir of runs) {
  test(`${dir.slice(folder.length + 1)} is verified, every score computed again`, () => {
    const { findings, samples, rescored, cells } = verifyRun(dir, rescore);
    assert.deepEqual(findings, []);
    assert.ok(cells > 0 && samples > 0);
    // A sample over a method's bounds is recorded as unsupported with its reason; it has no score.
    const statuses = summariseRun(dir).cells.flatMap(({ samples: of }) => of.map(({ status }) => status));
    assert.deepEqual(
      [...new Set(statuses)].filter((status) => status !== 'ok' && status !== 'unsupported'),
      [],
    );
    assert.equal(rescored, statuses.filter((status) => status === 'ok').length);
  });

  test(`${dir.slice(folder.length + 1)} has the methods, tasks and samples of its suite as it is today`, async () => {
    const { suite, numerics } = readRunRecord(dir);
    const now = (await loadSuite(suite.id)).suite;
    const { version, methods, samples, seed, protocols, keptFractions } = suite.resolved;
    assert.equal(
      contentHash({ version, methods, samples, seed, protocols, keptFractions }),
      contentHash(
        JSON.parse(
          JSON.stringify({
            version: now.version,
            methods: now.methods,
            samples: now.samples,
            seed: now.seed,
            protocols: now.protocols,
            keptFractions: now.keptFractions,
          }),
        ),
      ),
    );
    const names = (tasks: unknown): string[] => (tasks as { name: string }[]).map(({ name }) => name);
    assert.deepEqual(names(suite.resolved.tasks), names(now.tasks));
    assert.equal(numerics, 'native');
    const settings = new Set(summariseRun(dir).cells.map(settingLabel));
    assert.ok(settings.size >= 9, [...settings].join(', '));
  });

  test(`${dir.slice(folder.length + 1)} is light`, () => {
    const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const bytes = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
    assert.ok(bytes <= 3 * 2 ** 20, `${bytes} bytes`);
  });
}
