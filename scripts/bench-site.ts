import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { median } from '../core/statistics.js';
import { largeBoard, writeBoardRun } from '../results/site/fixtures/board-run.js';
import { alone, type BenchRow } from './bench-rows.js';

const ROUNDS = 9;
const SHAPE = '10 290 cells, 205 800 samples';
const MEMORY_EVERY_MS = 50;

/**
 * A leaderboard of at least 10 000 cells and 200 000 invented samples: milliseconds to build it and the most memory that took, to the first
 * paint of its page from a file, and of one filter and one sort of all cells until the page is laid out again. The page is left out
 * where there is no Chromium.
 */
export async function* benchSite(note: (line: string) => void): AsyncGenerator<BenchRow> {
  const root = mkdtempSync(path.join(tmpdir(), 'winnow-bench-site-'));
  try {
    const [run, site] = [path.join(root, 'run'), path.join(root, 'site')];
    writeBoardRun(run, largeBoard);
    const { ms, mebibytes } = await publishApart(run, site);
    yield alone({ name: 'site build', isa: '-', shape: SHAPE }, ms, 1, { value: mebibytes, unit: 'MiB at most' });
    const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
      existsSync,
    );
    if (executablePath === undefined) note('No Chromium: the page is not measured.');
    else yield* benchPage(path.join(site, 'index.html'), executablePath);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** In a process of its own, whose peak of memory is read while it lives. */
const publishApart = (run: string, site: string): Promise<{ ms: number; mebibytes: number }> =>
  new Promise((resolve, reject) => {
    const start = performance.now();
    const command = [fileURLToPath(new URL('winnow.mjs', import.meta.url)), 'publish', run, '--site', site];
    const child = spawn(process.execPath, command, { stdio: ['ignore', 'ignore', 'inherit'] });
    let kibibytes = 0;
    const timer = setInterval(() => {
      kibibytes = Math.max(kibibytes, peakOf(child.pid));
    }, MEMORY_EVERY_MS);
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(timer);
      if (code === 0) resolve({ ms: performance.now() - start, mebibytes: kibibytes / 1024 });
      else reject(new Error(`winnow publish ended with ${code}`));
    });
  });

const peakOf = (pid: number | undefined): number => {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
};

async function* benchPage(file: string, executablePath: string): AsyncGenerator<BenchRow> {
  const { chromium } = await import('playwright-core');
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  try {
    const paints: number[] = [];
    const ready: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const page = await browser.newPage();
      await page.goto(String(pathToFileURL(file)));
      await page.waitForFunction('performance.getEntriesByName("first-contentful-paint").length > 0');
      paints.push(await numberFrom(page, 'performance.getEntriesByName("first-contentful-paint")[0].startTime'));
      ready.push(await numberFrom(page, 'performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd'));
      await page.close();
    }
    yield pageRow('site first paint', paints);
    yield pageRow('site ready', ready);
    const page = await browser.newPage();
    await page.goto(`${pathToFileURL(file)}#rows=cells`);
    const words = Array.from({ length: ROUNDS }, (_, i) => (i % 2 === 0 ? 'kivi' : 'quest 0.5'));
    yield pageRow('site filter cells', await timesOf(page, words.map(typed)));
    await page.evaluate(typed(''));
    const heads = Array.from({ length: ROUNDS }, (_, i) => ['score', 'kvCacheBytes', 'task'][i % 3]!);
    yield pageRow(
      'site sort cells',
      await timesOf(
        page,
        heads.map((id) => `document.getElementById('sort-${id}').click()`),
      ),
    );
  } finally {
    await browser.close();
  }
}

const typed = (words: string): string =>
  `{ const box = document.getElementById('search'); box.value = '${words}'; box.dispatchEvent(new Event('input')); }`;

/** Each action until the page is laid out again. */
const timesOf = async (page: Page, actions: readonly string[]): Promise<number[]> => {
  const times: number[] = [];
  for (const action of actions)
    times.push(
      await numberFrom(
        page,
        `(() => { const start = performance.now(); ${action}; document.body.offsetHeight; return performance.now() - start; })()`,
      ),
    );
  return times;
};

const numberFrom = async (page: Page, expression: string): Promise<number> => Number(await page.evaluate(expression));

const pageRow = (name: string, times: readonly number[]): BenchRow =>
  alone({ name, isa: '-', shape: SHAPE }, median(times), times.length, {
    value: Math.max(...times),
    unit: 'ms at most',
  });
