/** Runs as they are admitted to a site: verified first, repetitions recognised, badges given. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../../core/errors.js';
import { cellRows, type Value } from '../cells-csv.js';
import { repeatDifferences } from '../repeat.js';
import type { RunRecord } from '../schema.js';
import type { RunSummary } from '../summary.js';
import { type Rescore, verifyAndSummarise } from '../verify.js';
import { collectSettings, type FamilyOf, type SiteSetting } from './collect.js';
import type { Badge } from './site-data.js';

export interface SiteRun {
  readonly dir: string;
  /** The run's id, with a number where another run of the site has it too. */
  readonly name: string;
  readonly run: RunRecord;
  badge: Badge;
  readonly settings: readonly SiteSetting[];
  readonly rows: readonly (readonly Value[])[];
  readonly samples: number;
}

/** Folders with a run.json among those given, and directly below those that have none. Throws ERR_MISSING where there is none. */
export const findRuns = (dirs: readonly string[]): string[] =>
  dirs.flatMap((dir) => {
    if (existsSync(join(dir, 'run.json'))) return [dir];
    const below = existsSync(dir)
      ? readdirSync(dir, { withFileTypes: true })
          .filter((entry) => entry.isDirectory() && existsSync(join(dir, entry.name, 'run.json')))
          .map((entry) => join(dir, entry.name))
          .sort()
      : [];
    if (below.length > 0) return below;
    const fix = 'Give folders that winnow run wrote with --out, or a folder of such folders.';
    throw new WinnowError('ERR_MISSING', dir, 'a run directory (a folder with run.json)', 'no run.json', fix);
  });

/**
 * Reads runs in the order given, one at a time. A finished run of the same configuration as an earlier one, with the same outcome in every
 * quantity but times, is its repetition: it is not shown, and the earlier one counts as re-run.
 *
 * Throws: ERR_RECORD — `verify` finds something wrong; names it. ERR_USAGE — the same run is given twice.
 */
export const readRuns = (dirs: readonly string[], rescore: Rescore, familyOf: FamilyOf): SiteRun[] => {
  const admitted: { site: SiteRun; light: RunSummary }[] = [];
  for (const dir of dirs) {
    const { verification, summary } = verifyAndSummarise(dir, rescore);
    const [finding] = verification.findings;
    if (finding !== undefined || summary === undefined)
      throw new WinnowError(
        'ERR_RECORD',
        dir,
        'a run that winnow verify accepts',
        `${finding?.where}: ${finding?.problem}${verification.findings.length > 1 ? `; and ${verification.findings.length - 1} more` : ''}`,
        `See all of it: winnow verify ${dir}`,
      );
    const earlier = admitted.filter(({ site }) => site.run.configurationSha256 === summary.run.configurationSha256);
    if (earlier.some(({ site }) => site.run.createdAt === summary.run.createdAt))
      throw new WinnowError(
        'ERR_USAGE',
        dir,
        'runs that differ',
        'a run that was given already',
        'Give each run once.',
      );
    const repeated = earlier.find(({ light }) => repeatDifferences(light, summary).length === 0);
    if (repeated !== undefined) {
      repeated.site.badge = 're-run';
      continue;
    }
    const { id } = summary.run;
    const namesakes = admitted.filter(({ site }) => site.run.id === id).length;
    const name = namesakes === 0 ? id : `${id} (${namesakes + 1})`;
    const scored = summary.cells.reduce(
      (sum, { samples }) => sum + samples.filter(({ status }) => status === 'ok').length,
      0,
    );
    admitted.push({
      site: {
        dir,
        name,
        run: summary.run,
        badge: scored > 0 && verification.rescored >= scored ? 'recomputed' : 'self-reported',
        settings: collectSettings({ ...summary, run: { ...summary.run, id: name } }, familyOf),
        rows: cellRows(summary),
        samples: verification.samples,
      },
      light: { run: summary.run, cells: summary.cells.map((cell) => ({ ...cell, samples: [] })) },
    });
  }
  return admitted.map(({ site }) => site);
};
