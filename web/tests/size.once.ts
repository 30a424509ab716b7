import { test as base, expect, type Page } from '@playwright/test';
import { row } from './rows';
import { watch } from './watch';

/** What scripts/bench-console-size.sh says of the server that it has filled. */
const said = (name: string): string => process.env[`DORMER_SIZE_${name}`] ?? '';

/** Of a server that nobody else reaches, see internal/eventbench/load. */
const password = 'correct horse battery';

/** A page of the first operator of a server that was filled before. */
const test = base.extend<{ page: Page }>({
  page: async ({ browser }, provide) => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: `${said('URL')}/console/` });
    const signedIn = await context.request.post(`${said('URL')}/api/v1/sessions`, {
      headers: { 'Dormer-Session': 'cookie' },
      data: { user: 'admin', password },
    });
    expect(signedIn.ok(), await signedIn.text()).toBe(true);
    const page = await context.newPage();
    const faults: string[] = [];
    watch(page, said('URL'), (fault) => faults.push(fault));
    await provide(page);
    await context.close();
    expect(faults, 'what went wrong in the browser').toEqual([]);
  },
});

interface Look {
  name: string;
  path: string;
  /** What is there when the page is useful. */
  shows: (page: Page) => Promise<void>;
}

const table = (name: string) => async (page: Page) => {
  await expect(page.getByRole('grid', { name }).getByRole('row').nth(1)).toBeVisible({ timeout: 60_000 });
};

const looks: Look[] = [
  {
    name: 'overview',
    path: '.',
    shows: async (page) => {
      await expect(page.getByRole('link', { name: /^Clients on-line:/ })).toBeVisible();
      await expect(page.getByRole('link', { name: /^Errors, last 24 hours:/ })).toBeVisible({ timeout: 60_000 });
      await expect(page.getByRole('link', { name: /^Workspaces:/ })).toBeVisible();
    },
  },
  { name: 'workspaces', path: 'workspaces', shows: table('workspaces') },
  { name: 'clients', path: 'clients', shows: table('Clients') },
  { name: 'clients_500', path: 'clients?size=500', shows: table('Clients') },
  { name: 'clients_deep', path: 'clients?size=50&page=1500', shows: table('Clients') },
  { name: 'client', path: `clients/${said('CLIENT')}`, shows: table('machines') },
  { name: 'client_events', path: `clients/${said('CLIENT')}?tab=events`, shows: table('events') },
  { name: 'images', path: 'images', shows: table('images') },
  { name: 'image', path: `images/${said('IMAGE')}`, shows: table('versions') },
  { name: 'image_version', path: `images/${said('IMAGE')}/1`, shows: table('machines') },
  { name: 'status', path: 'reports/status?limit=1000', shows: table('Rows of the report') },
  { name: 'activity', path: 'reports/activity?days=90', shows: table('Rows of the report') },
  { name: 'activity_1000', path: 'reports/activity?days=90&limit=1000', shows: table('Rows of the report') },
  { name: 'activity_by_code', path: 'reports/activity?days=90&group=code', shows: table('Rows of the report') },
  {
    name: 'trends',
    path: 'reports/trends?days=90',
    shows: async (page) => {
      await expect(page.getByRole('img', { name: /Events a day/ }).first()).toBeVisible({ timeout: 60_000 });
    },
  },
  { name: 'audit', path: 'audit', shows: table('Changes') },
];

/** The memory of the page's scripts after what is not needed is gone, in bytes. */
async function memory(page: Page): Promise<number> {
  const debug = await page.context().newCDPSession(page);
  await debug.send('HeapProfiler.collectGarbage');
  const { usedSize } = await debug.send('Runtime.getHeapUsage');
  await debug.detach();
  return usedSize;
}

test('pages of an instance with very much in it', async ({ page }) => {
  test.setTimeout(900_000);
  for (const { name, path, shows } of looks) {
    const began = performance.now();
    await page.goto(path, { waitUntil: 'commit' });
    await shows(page);
    row(name, performance.now() - began, 'ms');
    row(`${name}.memory`, (await memory(page)) / 2 ** 20, 'MiB');
  }
});

test('the pages of a report one after another', async ({ page }) => {
  test.setTimeout(300_000);
  await page.goto('reports/activity?days=90&limit=500');
  const turn = page.getByRole('button', { name: 'Next page' });
  await table('Rows of the report')(page);
  let longest = 0;
  const turned = 30;
  for (let n = 0; n < turned; n++) {
    const before = page.url();
    const began = performance.now();
    await expect(turn).toBeEnabled({ timeout: 60_000 });
    await turn.click();
    await expect(page).not.toHaveURL(before);
    await expect(turn).toBeEnabled({ timeout: 60_000 });
    longest = Math.max(longest, performance.now() - began);
  }
  row('turning_longest', longest, 'ms');
  row('turning.memory', (await memory(page)) / 2 ** 20, 'MiB');
});
