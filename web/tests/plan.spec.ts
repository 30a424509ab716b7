import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { axe, expect, test } from './fixtures';

const summary = (page: Page, term: string) =>
  page.getByRole('term').filter({ hasText: term }).locator('xpath=following-sibling::dd');

/** Opens a tab of the input or of the results by its address: some are in a menu where there is no room. */
const tab = (page: Page, key: 'input' | 'result', name: string) => page.goto(`plan?${key}=${name}`);

/** Replaces the whole text of the YAML view. */
async function type(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'The organization as YAML' }).click();
  await page.keyboard.press('ControlOrMeta+a');
  // Over a selection the browser would keep its colours as inline style, which the content policy forbids.
  await page.keyboard.press('Delete');
  await page.keyboard.insertText(text);
}

const organization = (users: number): string => `apiVersion: dormer/v1
kind: Organization
metadata: {name: Two years}
spec:
  domains: [{name: corp.example.test}]
  sites:
    - {name: Berlin, people: [{users: ${users}}]}
    - {name: Plant, people: [{users: 40}]}
  links: [{from: Berlin, to: Plant, bandwidth: 100Mbit/s}]
  images: [{name: office, packed: 8GiB}]
  workspaces: [{name: Office, image: office}]
`;

test('a plan is described as a form and as text, worked out while typing, and compared', async ({ page }) => {
  await page.goto('plan');
  await expect(summary(page, 'Instances')).toHaveText('1 for 100 people');
  await page.getByRole('textbox', { name: 'Name', exact: false }).first().fill('Next year');
  await axe(page);

  // The same plan as text, and back.
  await tab(page, 'input', 'yaml');
  await expect(page.getByRole('textbox', { name: 'The organization as YAML' })).toContainText('name: Next year');
  await type(page, organization(2000));
  await expect(summary(page, 'Instances')).toHaveText('1 for 2,040 people');
  await type(page, organization(2000).replace('users: 40', 'users: -1'));
  await expect(page.getByText('What is shown is the last plan that could be worked out')).toBeVisible();
  await tab(page, 'input', 'sites');
  await expect(page.getByRole('textbox', { name: 'Name', exact: false }).first()).toHaveValue('Two years');
  // The fault is on its tab and in its row.
  await expect(page.getByRole('tab', { name: /Sites and people.*1 error/ })).toBeVisible();
  await tab(page, 'input', 'yaml');
  await type(page, organization(3000));
  await expect(summary(page, 'Instances')).toHaveText('1 for 3,040 people');

  // Charts have tables.
  await page.getByRole('button', { name: 'As a table' }).click();
  await expect(page.getByRole('grid', { name: 'People by site and instance' }).getByRole('row')).toHaveText([
    /Berlin|Plant/,
    /Berlin.*3,000/,
    /Plant.*40/,
  ]);
  await axe(page);

  // Kept, changed, and held against each other.
  await tab(page, 'result', 'compare');
  await page.getByRole('button', { name: 'Keep this plan to compare with' }).click();
  await expect(page.getByText('No figure differs')).toBeVisible();
  await tab(page, 'input', 'yaml');
  await type(page, organization(4000));
  await expect(summary(page, 'Instances')).toHaveText('1 for 4,040 people');
  await tab(page, 'result', 'compare');
  await expect(page.getByText('People: 3,040 before, 4,040 after.')).toBeVisible();
  await axe(page);

  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Design document' }).click();
  await page.getByRole('menuitem', { name: 'Markdown' }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toBe('Two years.md');
  expect(readFileSync(await download.path(), 'utf8')).toContain('Two years');
});

test('a plan is asked what else could be: questions, conditions, an outage', async ({ page }) => {
  await tab(page, 'result', 'questions');
  await page.getByRole('textbox', { name: /licences/ }).fill('Yes, by the volume contract');
  await expect(page.getByText('1 question is open.')).toBeVisible();
  await expect(summary(page, 'Questions to the business')).toHaveText('1 open question');
  await axe(page);

  await tab(page, 'result', 'what-if');
  await page.getByLabel('Condition', { exact: true }).selectOption('Another capacity of an instance');
  await page.getByLabel('Clients').fill('50');
  await page.getByRole('button', { name: 'Add the condition' }).click();
  await page.getByRole('button', { name: 'Try them together' }).click();
  await expect(page.getByRole('grid', { name: 'what conditions change' })).toContainText('+1');
  await axe(page);

  await tab(page, 'result', 'outages');
  await page.getByLabel('For hours').fill('0');
  await page.getByRole('button', { name: 'Play the outage' }).click();
  await expect(page.getByText('The outage could not be played')).toBeVisible();
  await page.getByLabel('For hours').fill('1.5');
  await page.getByRole('button', { name: 'Play the outage' }).click();
  await expect(page.getByRole('grid', { name: 'what the outage did' })).toContainText('Headquarters', {
    timeout: 30_000,
  });
  await axe(page);
});
