/** Writes docs/images/leaderboard-{light,dark}.png: `node --import tsx scripts/write-leaderboard-pictures.ts SITE`, SITE made by winnow publish. Needs Chromium. */
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const [site] = process.argv.slice(2);
if (site === undefined) throw new Error('give the folder that winnow publish wrote');
const images = fileURLToPath(new URL('../docs/images', import.meta.url));
mkdirSync(images, { recursive: true });
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
const address = `${pathToFileURL(path.resolve(site, 'index.html'))}#`;
for (const [colorScheme, view] of [
  ['light', 'hide=controls&protocol=query-agnostic'],
  ['dark', 'view=pareto&board=1&protocol=query-agnostic'],
] as const) {
  const page = await browser.newPage({ viewport: { width: 1_360, height: 860 }, colorScheme });
  await page.goto(address + view);
  const point = page.locator('.point:not(.dominated)').first();
  if (view.includes('pareto')) await point.dispatchEvent('pointerenter');
  const file = path.join(images, `leaderboard-${colorScheme}.png`);
  await page.screenshot({ path: file });
  console.log(`${file}: ${(statSync(file).size / 1024).toFixed(0)} KiB`);
}
await browser.close();
