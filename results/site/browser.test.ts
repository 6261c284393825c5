// biome-ignore-all lint/performance/useDomNodeTextContent: what is tested is the text that is shown.
/** The site in a real browser, from files, without a network. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { parse as parseCsv } from 'csv-parse/sync';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { rescore } from '../../suites/rescore.js';
import { smallBoard, writeBoardRun } from './fixtures/board-run.js';
import { hostileCommand, hostileSample } from './fixtures/hostile.js';
import { judgePairs } from './page/pairs.js';
import { publishSite } from './publish.js';
import { type SiteData, settingName } from './site-data.js';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = places.find(existsSync);
const skip = executablePath === undefined ? 'no Chromium (Debian: apt-get install chromium)' : false;
const options = { skip, timeout: 240_000 };

const root = mkdtempSync(join(tmpdir(), 'winnow-browser-'));
const site = join(root, 'site');
let browser: Browser;
let data: SiteData;
before(
  async () => {
    if (skip !== false) return;
    writeBoardRun(join(root, 'plain'), { ...smallBoard, samples: 12 });
    const shape = {
      ...smallBoard,
      model: 'hostile',
      tasks: 1,
      lengths: [1_024],
      methods: 1,
      samples: 8,
      timings: false,
    };
    writeBoardRun(join(root, 'hostile'), shape, { alter: hostileSample, command: hostileCommand });
    await publishSite({ dirs: [join(root, 'plain'), join(root, 'hostile')], site, title: 'Board', rescore });
    const text = readFileSync(join(site, 'index.html'), 'utf8');
    data = JSON.parse(/id="data">(.*?)<\/script>/s.exec(text)![1]!) as SiteData;
    browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox', '--disable-gpu'] });
  },
  { timeout: 240_000 },
);
after(async () => {
  await browser?.close();
  rmSync(root, { recursive: true, force: true });
});

/** Opens a page of the site; anything asked of a network, any dialog, error or word on the console fails the test. */
const withPage = async (
  address: string,
  body: (page: Page) => Promise<void>,
  context: BrowserContextOptions = {},
): Promise<void> => {
  const opened = await browser.newContext({ viewport: { width: 1_600, height: 1_000 }, ...context });
  const wrong: string[] = [];
  try {
    const page = await opened.newPage();
    page.setDefaultTimeout(60_000);
    page.on('request', (request) => {
      if (!request.url().startsWith('file:') && !request.url().startsWith('blob:null')) wrong.push(request.url());
    });
    page.on('console', (message) => wrong.push(message.text()));
    page.on('pageerror', (error) => wrong.push(error.message));
    page.on('dialog', (dialog) => {
      wrong.push(dialog.message());
      void dialog.dismiss();
    });
    const [file = '', hash] = address.split('#');
    await page.goto(`${pathToFileURL(join(site, file))}${hash === undefined ? '' : `#${hash}`}`);
    await body(page);
  } finally {
    await opened.close();
  }
  assert.deepEqual(wrong, []);
};

const names = (page: Page): Promise<string[]> => page.locator('#table tbody th[scope=row]').allInnerTexts();
const column = async (page: Page, head: string): Promise<string[]> => {
  const heads = await page.locator('#table thead th').allInnerTexts();
  const at = heads.findIndex((text) => text.replace(/ [▲▼]$/, '').trim() === head);
  assert.ok(at >= 0, `${head} in ${heads.join(', ')}`);
  return page
    .locator(`#table tbody tr td:nth-child(${at + 1}), #table tbody tr th[scope=row]:nth-child(${at + 1})`)
    .allInnerTexts();
};

test(
  'search and filters narrow the table, the count says to how many, and the address holds them',
  options,
  async () => {
    await withPage('index.html', async (page) => {
      assert.equal((await names(page)).length, data.settings.length);
      await page.locator('#filter-protocol').selectOption('query-aware');
      await page.locator('#search').fill('knorm 0.25');
      const expected = data.settings.filter(
        (one) => one.protocol === 'query-aware' && settingName(one) === 'knorm @ 0.25',
      );
      assert.deepEqual(await names(page), expected.map(settingName));
      assert.equal(await page.locator('#count').innerText(), `${expected.length} settings`);
      assert.match(page.url(), /#.*q=knorm\+0\.25/);
      assert.match(page.url(), /protocol=query-aware/);
      await page.locator('#search').fill('');
      await page.locator('#hide-controls').check();
      const left = await column(page, 'marks');
      assert.equal(
        left.filter((text) => text.includes('control')).length,
        2,
        'dense stays, one for each board with this protocol',
      );
      await page.locator('#filter-task').selectOption('vt_2');
      assert.ok((await column(page, 'task')).every((task) => task === 'vt_2'));
    });
  },
);

test(
  'a press of a head sorts by it, says so to screen readers, and a second one turns it round; what is missing stays last',
  options,
  async () => {
    await withPage('index.html', async (page) => {
      const values = async (): Promise<number[]> =>
        (await column(page, 'kept')).filter((text) => text !== '').map(Number.parseFloat);
      await page.locator('#sort-scoreKept').click();
      const head = page.locator('#table thead th', { has: page.locator('#sort-scoreKept') });
      assert.equal(await head.getAttribute('aria-sort'), 'descending');
      const down = await values();
      assert.deepEqual(
        down,
        [...down].sort((a, b) => b - a),
      );
      await page.keyboard.press('Enter');
      assert.equal(await head.getAttribute('aria-sort'), 'ascending', 'the head keeps the focus');
      const up = await values();
      assert.deepEqual(
        up,
        [...up].sort((a, b) => a - b),
      );
      await page.locator('#sort-decodeMsPerToken').click();
      const times = await column(page, 'ms per token');
      const firstMissing = times.indexOf('');
      assert.ok(firstMissing > 0 && times.slice(firstMissing).every((text) => text === ''), times.join(' '));
    });
  },
);

test('a copied address shows the same again, and what no version knows is ignored', options, async () => {
  let address = '';
  let shown: string[] = [];
  await withPage('index.html', async (page) => {
    await page.locator('#rows-cells').click();
    await page.locator('#filter-length').selectOption('4096');
    await page.locator('#filter-protocol').selectOption('query-agnostic');
    await page.locator('#sort-score').click();
    shown = await column(page, 'score');
    address = page.url();
  });
  await withPage(`index.html#${address.split('#')[1]}`, async (page) => {
    assert.deepEqual(await column(page, 'score'), shown);
    assert.equal(await page.locator('#filter-length').inputValue(), '4096');
  });
  await withPage(
    'index.html#view=nothing&sort=__proto__&page=-3&x=alert(1)&chosen=a,b,c,d,e,f&q=%3Cscript%3E',
    async (page) => {
      assert.equal((await names(page)).length, 0);
      await page.evaluate('location.hash = ""');
      await page.waitForFunction(
        `document.querySelectorAll('#table tbody th[scope=row]').length === ${data.settings.length}`,
      );
    },
  );
});

test('settings that are checked are compared with the p of winnow compare', options, async () => {
  await withPage('index.html', async (page) => {
    const [a, b] = data.settings.filter(
      (one) => one.protocol === 'query-aware' && one.budget === '0.5' && one.rank !== null && one.board === 1,
    );
    for (const setting of [a!, b!]) await page.locator(`input[data-setting="${setting.id}"]`).check();
    await page.locator('#view-compare').click();
    const [pair] = judgePairs(data, [a!, b!]);
    const p = pair!.scores!.p;
    const cells = await page.locator('#pairs tbody td').allInnerTexts();
    assert.ok(cells.includes(p < 0.001 ? p.toExponential(0) : p.toFixed(3)), cells.join(' | '));
    assert.ok(cells.includes(`${pair!.scores!.worse}/${pair!.scores!.better}`));
    await page.locator('details summary').click();
    // Filled when the details open, which the browser tells later.
    await page.locator('details tbody tr').first().waitFor();
    assert.equal(await page.locator('details tbody tr').count(), 6);
    await page.locator('#chosen button').first().click();
    assert.match(await page.locator('#views').innerText(), /Choose two to four settings/);
  });
});

test('at most four settings are chosen', options, async () => {
  await withPage('index.html', async (page) => {
    for (const { id } of data.settings.slice(3, 7)) {
      await page.locator(`input[data-setting="${id}"]`).focus();
      await page.keyboard.press('Space');
      assert.equal(await page.evaluate('document.activeElement.dataset.setting'), id, 'the box keeps the focus');
    }
    assert.equal(await page.locator('#table tbody input:checked').count(), 4);
    assert.equal(await page.locator('#table tbody input:not(:checked):not(:disabled)').count(), 0);
  });
});

test(
  'points of the Pareto view tell what they are to the pointer and to the keyboard, on the axes chosen',
  options,
  async () => {
    await withPage('index.html#view=pareto&board=1', async (page) => {
      const points = page.locator('.point');
      const expected = data.settings.filter(
        (one) => one.board === 1 && one.kvCacheBytes !== null && one.scoreKept !== null,
      );
      assert.equal(await points.count(), expected.length);
      const last = points.nth(expected.length - 1);
      await last.dispatchEvent('pointerenter');
      const id = await last.getAttribute('data-setting');
      const hovered = data.settings.find((one) => one.id === id)!;
      assert.ok((await page.locator('#details').innerText()).includes(settingName(hovered)));
      await points.first().focus();
      const before = await page.locator('#details').innerText();
      await page.keyboard.press('ArrowRight');
      assert.notEqual(await page.locator('#details').innerText(), before);
      assert.equal(await page.evaluate('document.querySelectorAll(".point[tabindex=\\"0\\"]").length'), 1);
      assert.equal(await page.evaluate('document.activeElement.getAttribute("tabindex")'), '0');
      await page.locator('#axis-x').selectOption('decodeMsPerToken');
      assert.match(page.url(), /x=decodeMsPerToken/);
      assert.match(await page.locator('.plot svg').first().innerHTML(), /time per token \(ms\)/);
      const first = await points.first().getAttribute('data-setting');
      await points.first().focus();
      await page.keyboard.press('Enter');
      await page.waitForURL(`**/${data.settings.find((one) => one.id === first)!.page}`);
    });
  },
);

test('maps by length and by depth hold the scores of the cells', options, async () => {
  await withPage('index.html#view=length&board=1&task=niah_0', async (page) => {
    const { cells, settings, tasks } = data;
    const at = cells.setting.findIndex(
      (place, i) =>
        settings[place]!.board === 1 &&
        settings[place]!.method === 'dense' &&
        tasks[cells.task[i]!] === 'niah_0' &&
        cells.length[i] === 1_024,
    );
    const first = page.locator('#length-map tbody tr').first();
    assert.match(await first.innerText(), /^dense/);
    assert.equal(await first.locator('td').first().innerText(), cells.score[at]!.toFixed(2));
  });
  await withPage('index.html#view=depth&board=1', async (page) => {
    const [length, depth, score] = data.settings.find((one) => one.board === 1)!.depths[0]!;
    const map = page.locator('.depth-map').first();
    assert.match(await map.innerText(), new RegExp(`^depth \\(%\\)\\s+${length / 1_024}k`));
    assert.match(await map.locator('tbody tr').first().innerText(), new RegExp(`^${depth}\\s+${score.toFixed(2)}`));
  });
});

test('rows, picture and spec are downloads of what is shown; links lead to files that are there', options, async () => {
  await withPage('index.html#protocol=query-aware&board=1', async (page) => {
    const save = async (id: string): Promise<string> => {
      const [download] = await Promise.all([page.waitForEvent('download'), page.locator(id).click()]);
      return readFileSync(await download.path(), 'utf8');
    };
    const rows = parseCsv(await save('#save-rows'), { columns: true }) as Record<string, string>[];
    assert.deepEqual(
      rows.map(({ name }) => name),
      await names(page),
    );
    assert.ok(rows.every(({ protocol }) => protocol === 'query-aware'));
    await page.locator('#view-pareto').click();
    const svg = await save('#save-svg');
    assert.match(svg, /^<svg[^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    assert.match(svg, /fill="rgb\(/);
    const spec = JSON.parse(await save('#save-spec')) as { data: { values: unknown[] } };
    assert.equal(spec.data.values.length, await page.locator('.point').count());
    const links = (await page.evaluate(
      '[...document.querySelectorAll("a[href]")].map((a) => a.getAttribute("href"))',
    )) as string[];
    for (const link of links.filter((href) => !href.startsWith('#'))) assert.ok(existsSync(join(site, link)), link);
  });
});

test('without JavaScript the table and the pages are complete', options, async () => {
  await withPage(
    'index.html',
    async (page) => {
      const rows = page.locator('#static tbody th[scope=row]');
      assert.equal(await rows.count(), data.settings.length);
      assert.ok(await rows.first().isVisible());
      assert.equal(await page.locator('#views > *').count(), 0);
      await rows.first().locator('a').click();
      await page.waitForURL(/settings\//);
      assert.ok(await page.getByText('npx winnow run').isVisible());
    },
    { javaScriptEnabled: false },
  );
});

test(
  'hostile outputs are text: nothing runs, nothing is asked for, the page stays whole and its direction too',
  options,
  async () => {
    const hostile = data.settings.filter(({ board }) => data.boards[board]!.model === 'hostile');
    for (const setting of hostile.slice(0, 3)) {
      await withPage(setting.page, async (page) => {
        assert.equal(await page.evaluate('window.pwned'), undefined);
        assert.equal(await page.locator('main script, main img, main iframe').count(), 0);
        const text = await page.locator('main').innerText();
        assert.match(text, /<script>window\.pwned = 1<\/script>/);
        assert.match(text, /<\/script><\/bdi><\/table>/);
        assert.match(text, /⟨U\+202E⟩/);
        assert.match(text, /more characters in the download/);
        assert.equal(await page.locator('h2', { hasText: 'Samples' }).count(), 1);
        assert.ok(
          (await page.evaluate('document.documentElement.scrollWidth <= innerWidth + 1')) as boolean,
          'a long line widens nothing',
        );
      });
      assert.ok(readFileSync(join(site, setting.page)).length < 400_000, 'a line of a megabyte is cut');
    }
    const csv = readFileSync(join(site, 'downloads/cells.csv'), 'utf8');
    assert.doesNotMatch(csv, /(^|,)"?[=+@]/m);
  },
);

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const violationsOf = async (page: Page): Promise<string[]> => {
  await page.evaluate(axeSource);
  const found = (await page.evaluate('axe.run(document, {resultTypes: ["violations"]})')) as {
    violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
  };
  return found.violations.map(
    ({ id, nodes }) => `${id}: ${nodes.length} × ${nodes[0]!.html.slice(0, 200)} ${nodes[0]!.failureSummary}`,
  );
};

for (const colorScheme of ['light', 'dark'] as const)
  test(`no accessibility rule is broken in ${colorScheme}`, options, async () => {
    const chosen = data.settings.filter((one) => one.protocol === 'query-aware' && one.board === 1).slice(2, 5);
    const addresses = [
      'index.html',
      'index.html#rows=cells&sort=-score',
      'index.html#view=pareto',
      'index.html#view=length',
      'index.html#view=depth',
      `index.html#view=compare&chosen=${chosen.map(({ id }) => id).join(',')}`,
      chosen[0]!.page,
    ];
    for (const address of addresses)
      await withPage(address, async (page) => assert.deepEqual(await violationsOf(page), [], address), { colorScheme });
  });

test('the site has no file but pages and downloads', options, () => {
  assert.deepEqual(readdirSync(site).sort(), ['downloads', 'index.html', 'runs', 'settings', 'winnow-site.json']);
});
