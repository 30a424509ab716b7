import { readFile } from 'node:fs/promises';
import type { Page } from '@playwright/test';
import { axe, expect, test } from './fixtures';

const table = (page: Page) => page.getByRole('grid', { name: 'Rows of the report' });

/** Drags a head of the table as people do with a mouse. */
async function dragHead(page: Page, name: string) {
  const head = table(page).getByRole('columnheader', { name, exact: true });
  await head.scrollIntoViewIfNeeded();
  const from = await head.boundingBox();
  const to = await page.getByText('Drag the head of a column here').boundingBox();
  if (!from || !to) throw new Error('the head or the bar cannot be seen');
  await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(to.x + 20, to.y + to.height / 2, { steps: 10 });
  await page.mouse.up();
}

/** Takes a report along, and reads the file. */
async function taken(page: Page, format: string): Promise<{ name: string; content: Buffer }> {
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export' }).click();
  await page.getByRole('menuitem', { name: format }).click();
  const file = await download;
  return { name: file.suggestedFilename(), content: await readFile(await file.path()) };
}

test('what happened is narrowed, sorted, paged, taken along, grouped, opened and saved', async ({ stage, page }) => {
  const image = stage.unique('office');
  await stage.image(image);
  const user = await stage.newUser();
  const runs = Array.from({ length: 60 }, (_, i) => `Application ${i + 1}`);
  await stage.newWorkspace({
    apiVersion: 'dormer/v1',
    kind: 'Workspace',
    metadata: { name: stage.unique('Office') },
    spec: {
      machine: { image: { name: image } },
      performance: { memory: [{ guest: '128MiB' }] },
      applications: { published: runs.map((name) => ({ name, command: 'echo done' })) },
    },
    grants: [{ principal: { directory: 'local', kind: 'user', name: user.name } }],
  });
  const computer = await stage.computer(stage.unique('report'), user.name);
  await computer.start();
  for (const name of runs) await computer.run(name);
  await computer.poll();

  await page.goto('reports/activity');
  await page.getByRole('button', { name: /^Filters/ }).click();
  await page.getByLabel('Host contains').fill(computer.name);
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`host=${computer.name}`));
  await expect(async () => {
    await page.getByRole('button', { name: 'Refresh' }).click();
    await expect(table(page)).toContainText('An application was run', { timeout: 2000 });
  }).toPass();
  await expect(table(page)).toContainText('The workspace runs');
  await page.getByRole('button', { name: /^Filters/ }).click();
  await axe(page);

  // The oldest first, and on to the newest, which are on the next page.
  const received = table(page).getByRole('columnheader', { name: 'Received', exact: true });
  await expect(received).toHaveAttribute('aria-sort', 'descending');
  await received.getByRole('button').click();
  await expect(page).toHaveURL(/sort=received/);
  await expect(received).toHaveAttribute('aria-sort', 'ascending');
  const first = table(page).getByRole('row').nth(1);
  await expect(first).toContainText('The agent started');
  const pages = page.getByRole('navigation', { name: 'Pages of the report' });
  await pages.getByLabel('Rows on a page').selectOption('50');
  await expect(pages).toContainText('50 rows, and more');
  await pages.getByRole('button', { name: 'Next page' }).click();
  await expect(pages).not.toContainText('and more');
  await expect(first).toContainText('An application was run');
  await pages.getByRole('button', { name: 'Previous page' }).click();
  await expect(first).toContainText('The agent started');

  // All of it goes along, not the page alone.
  const sheet = await taken(page, 'Excel (.xlsx)');
  expect(sheet.name).toBe('activity.xlsx');
  expect(sheet.content.subarray(0, 2).toString()).toBe('PK');
  const csv = await taken(page, 'CSV');
  expect(csv.name).toBe('activity.csv');
  expect(csv.content.toString().split('\n').length).toBeGreaterThan(60);
  const json = await taken(page, 'JSON');
  expect(json.name).toBe('activity.json');
  const rows = JSON.parse(json.content.toString()) as { host: string; code: number }[];
  expect(new Set(rows.map((r) => r.host))).toEqual(new Set([computer.name]));
  expect(rows[0]?.code).toBe(100);
  expect(rows.filter((r) => r.code === 610)).toHaveLength(60);

  // By mouse, and by the menu, which needs none.
  await dragHead(page, 'User');
  await expect(table(page).getByRole('columnheader', { name: 'Count' })).toBeVisible();
  await page.getByRole('button', { name: 'Group by', exact: true }).click();
  await axe(page);
  await page.getByRole('checkbox', { name: 'Event', exact: true }).click();
  await page.keyboard.press('Escape');
  await expect(page).toHaveURL(/group=user%2Ccode/);
  await expect(page.getByRole('button', { name: 'Move Event' })).toBeVisible();
  // Their order, by keyboard alone.
  await page.getByRole('button', { name: 'Move User' }).press('Space');
  // Where the columns are is measured after it is picked up.
  await expect(page.getByText(/^User is over place 1 of 2/)).toBeAttached();
  await page.keyboard.press('ArrowRight');
  await expect(page.getByText(/^User is over place 2 of 2/)).toBeAttached();
  await page.keyboard.press('Space');
  await expect(page).toHaveURL(/group=code%2Cuser/);
  // Rows of before stay until the new ones are there.
  await expect(table(page).getByRole('row').first()).toHaveText(/Event.*User/s);
  const group = table(page)
    .getByRole('row')
    .filter({ hasText: '610 An application was run' })
    .filter({ hasText: user.name });
  await group.getByRole('button', { name: 'Details' }).click();
  await expect(page.getByRole('grid', { name: 'Rows of the group' })).toContainText('Application 60');
  await axe(page);

  // The number leads to its rows.
  await group.getByRole('link', { name: '60' }).click();
  await expect(page).toHaveURL(/equal=code%3D610/);
  await expect(page.getByText('Event: 610')).toBeVisible();
  await table(page).getByRole('button', { name: 'Details' }).first().click();
  await expect(page.getByText('A published application was started.')).toBeVisible();

  const name = stage.unique('runs');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('wrong/name');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('dialog')).toContainText('without a slash');
  await page.getByRole('dialog').getByLabel('Name').fill(name);
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.getByRole('link', { name: 'Saved', exact: true }).click();
  await page.getByRole('link', { name, exact: true }).click();
  await expect(page).toHaveURL(/equal=code%3D610/);
  await expect(table(page)).toContainText('An application was run');
});

test('trends and deliveries are a chart and a table, and lead to rows', async ({ stage, page }) => {
  await stage.desk('report');
  await page.goto('reports/trends?information=yes&days=7');
  const events = page.getByRole('group', { name: 'Events a day as' });
  await expect(page.getByRole('heading', { name: 'Events a day' })).toBeVisible();
  await axe(page);
  await events.getByRole('button', { name: 'Table' }).click();
  const today = page.getByRole('grid', { name: 'Events a day' }).getByRole('row').nth(1);
  await today.getByRole('link').last().click();
  await expect(page).toHaveURL(/reports\/activity\?since=.*severity=information/);
  await expect(table(page)).toContainText('information');

  // What the computer fetched, and how much of it was there already.
  await page.goto('reports/delivery?days=7');
  await expect(page.getByRole('heading', { name: 'Delivered a day' })).toBeVisible();
  await expect(page.getByRole('grid', { name: 'versions' })).toContainText('%');
  await axe(page);
  await page.getByRole('group', { name: 'Delivered a day as' }).getByRole('button', { name: 'Table' }).click();
  const delivered = page.getByRole('grid', { name: 'Delivered a day' }).getByRole('row').nth(1);
  await expect(delivered).toContainText(/[1-9][\d.]* [KM]iB/);
  await delivered.getByRole('link').first().click();
  await expect(page).toHaveURL(/reports\/activity\?since=.*code=401/);
  await expect(table(page)).toContainText('came over the network');
});

test('an alert of a rule of ones own is raised, acknowledged, and read by who may not change', async ({
  stage,
  page,
  open,
}) => {
  const { computer } = await stage.desk('report');
  const rule = stage.unique('runs');
  await page.goto('alerts/rules');
  await page.getByRole('button', { name: 'Make a rule' }).click();
  await page.getByLabel('Name').fill(rule);
  await page.getByLabel('What its alerts say').fill('{subject} runs');
  await page.getByRole('textbox', { name: 'Events', exact: true }).fill('501');
  await page.getByLabel('Severity of the events').selectOption('');
  await page.getByLabel('How many').fill('1');
  await page.getByRole('textbox', { name: 'Within' }).fill('for ever');
  await page.getByRole('button', { name: 'Make the rule' }).click();
  await expect(page.getByText('must be a time from 10s to 7d').first()).toBeVisible();
  await page.getByRole('textbox', { name: 'Within' }).fill('1h');
  await page.getByRole('button', { name: 'Look what it would count now' }).click();
  await expect(page.getByText('raises an alert').first()).toBeVisible();
  await axe(page);
  await page.getByRole('button', { name: 'Make the rule' }).click();
  await expect(page.getByRole('link', { name: rule })).toBeVisible();
  await axe(page);

  // Rules count what comes from now on.
  await computer.stop();
  await computer.start();
  await computer.poll();
  await page.getByRole('link', { name: 'Open', exact: true }).click();
  const alert = page.getByRole('row').filter({ hasText: `${computer.name} runs` });
  await expect(alert).toBeVisible({ timeout: 40_000 });
  await expect(page.getByRole('link', { name: /^Alerts \d+ open/ })).toBeVisible();
  await alert.getByRole('button', { name: /^Acknowledge/ }).click();
  await page.getByRole('dialog').getByLabel('Note').fill('it may <b>run</b>');
  await page.getByRole('dialog').getByRole('button', { name: 'Acknowledge' }).click();
  await expect(alert).toContainText('it may <b>run</b>');
  await axe(page);

  const reader = await open('read-only');
  await reader.goto('alerts');
  const seen = reader.getByRole('row').filter({ hasText: `${computer.name} runs` });
  await expect(seen.getByRole('button', { name: /^Acknowledge/ })).toHaveAttribute('aria-disabled', 'true');
  await seen.getByRole('link', { name: 'client' }).click();
  await expect(reader.getByRole('heading', { level: 1 })).toHaveText(computer.name);
});
