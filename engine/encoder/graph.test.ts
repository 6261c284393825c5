/** Encoders that are built here against transformers in float32, as recorded by scripts/record-encoder.py. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadAddon } from '../../native/index.js';
import { openSession } from '../ort/session.js';
import { readEncoderConfig } from './config.js';
import { buildEncoder, encoderNames } from './graph.js';
import { openEncoderWeights } from './weights.js';

interface Recorded {
  readonly ids: readonly (readonly number[])[];
  /** By row of ids: the values of its own tokens, row-major. */
  readonly models: readonly { readonly name: string; readonly output: readonly (readonly number[])[] }[];
}
const fixtures = join(import.meta.dirname, 'fixtures');
const recorded: Recorded = JSON.parse(readFileSync(join(fixtures, 'tiny.json'), 'utf8'));
const bound = 2e-5;

for (const { name, output } of recorded.models) {
  test(`${name}: outputs of a padded batch within ${bound}`, async (context) => {
    const folder = join(fixtures, name);
    const config = readEncoderConfig(name, JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')));
    const addon = loadAddon();
    addon.configure('scalar', 'reference', 1);
    const weights = openEncoderWeights(folder, addon);
    const session = await openSession(name, buildEncoder(config, weights), 1);
    weights.close();
    try {
      const rows = recorded.ids.length;
      const longest = Math.max(...recorded.ids.map((ids) => ids.length));
      const padded = (numberAt: (ids: readonly number[], at: number) => number) => ({
        shape: [rows, longest],
        i64: BigInt64Array.from(
          recorded.ids.flatMap((ids) => Array.from({ length: longest }, (_, at) => BigInt(numberAt(ids, at)))),
        ),
      });
      const feeds = {
        [encoderNames.ids]: padded((ids, at) => ids[at] ?? config.padId),
        [encoderNames.mask]: padded((ids, at) => (at < ids.length ? 1 : 0)),
        ...(config.tokenTypes > 0
          ? {
              [encoderNames.types]: padded((ids, at) =>
                config.tokenTypes > 1 && at >= Math.floor(ids.length / 2) && at < ids.length ? 1 : 0,
              ),
            }
          : {}),
      };
      const wanted = config.task === 'vectors' ? encoderNames.hidden : encoderNames.logits;
      const result = (await session.run(feeds, [wanted]))[wanted]!;
      let most = 0;
      output.forEach((values, row) => {
        const width = result.data.length / rows;
        values.forEach((value, at) => {
          most = Math.max(most, Math.abs(value - result.data[row * width + at]!));
        });
      });
      context.diagnostic(`largest difference: ${most.toExponential(2)}`);
      assert.ok(most <= bound, `off by ${most}`);
    } finally {
      await session.close();
    }
  });
}
