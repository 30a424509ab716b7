import type { Page } from '@playwright/test';
import { axe, expect, test } from './fixtures';

const table = (page: Page) => page.getByRole('grid', { name: 'Rows of the report' });

test('trends are a chart and a table, and lead to rows', async ({ stage, page }) => {
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
