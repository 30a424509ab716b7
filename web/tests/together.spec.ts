import type { Page } from '@playwright/test';
import { axe, expect, test, type Stage } from './fixtures';
import { shown } from './shown';

/** A workspace that two operators will have open. */
async function newWorkspace(stage: Stage, purpose = 'Together'): Promise<{ id: string; name: string }> {
  const image = stage.unique('base');
  await stage.image(image);
  const name = stage.unique(purpose);
  const made = await stage.newWorkspace({
    apiVersion: 'dormer/v1',
    kind: 'Workspace',
    metadata: { name, description: 'as it was' },
    spec: { machine: { image: { name: image } } },
  });
  return { id: made.id, name };
}

const description = (page: Page) => page.getByRole('textbox', { name: /^Description/ }).first();

async function commit(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Commit', exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Commit', exact: true }).click();
}

test('two operators in one workspace see each other, and make one document of both changes', async ({
  stage,
  page,
  colleague,
}) => {
  const { id, name } = await newWorkspace(stage);
  await page.goto(`workspaces/${id}`);
  await colleague.goto(`workspaces/${id}`);
  await expect(page.getByRole('heading', { level: 1, name })).toBeVisible();

  // Who is there, and who edits.
  await expect(page.getByLabel('Who else is here')).toContainText('looks at this too');
  await description(colleague).fill('what the colleague wants');
  await expect(page.getByLabel('Who else is here')).toContainText('is editing this too');

  // The colleague commits: who has the page on the screen sees it within two seconds.
  await description(page).fill('what I want');
  await commit(colleague);
  await expect(colleague.getByText('Everything is committed')).toBeVisible();
  await expect(page.getByText(/committed revision 2/)).toBeVisible({ timeout: 2_000 });

  // What was refused is completed field by field.
  await commit(page);
  const complete = page.getByRole('button', { name: 'Continue with both' });
  await expect(complete).toHaveAttribute('aria-disabled', 'true');
  await expect(page.getByText('1 field left to choose.')).toBeVisible();
  const choice = page.getByRole('radiogroup', { name: /Description/ });
  await expect(choice).toContainText('as it was');
  await expect(choice).toContainText('what the colleague wants');
  await axe(page);
  await choice.getByRole('radio', { name: 'Mine' }).focus();
  await page.keyboard.press('Space');
  await expect(page.getByText('Nothing is left to choose.')).toBeVisible();
  await complete.click();
  await page.getByRole('dialog').getByRole('button', { name: 'Commit', exact: true }).click();
  await expect(page.getByText('Everything is committed')).toBeVisible();
  await expect(description(colleague)).toHaveValue('what I want', { timeout: 2_000 });
  await expect(colleague.getByText(/has committed a change of this/)).toBeVisible();

  // Who goes is not there any more.
  await page.goto('workspaces');
  await expect(colleague.getByLabel('Who else is here')).toHaveCount(0);
});

test('what somebody else changed is said on its page, and nothing that was entered is lost', async ({
  stage,
  page,
  open,
}) => {
  const operator = await stage.newOperator();
  const other = await open(operator);
  const rule = stage.unique('restarts');
  await stage.api('PUT', `/alert-rules/${rule}`, {
    name: rule,
    enabled: true,
    severity: 'warning',
    text: '{subject} restarts',
    clear_after: '30m',
    events: { severity: 'error', counts: 'events', threshold: 20, window: '10m', by: 'client' },
  });
  await page.goto(`alerts/rules/${rule}`);
  await other.goto(`alerts/rules/${rule}`);
  const says = page.getByLabel('What its alerts say');
  await says.fill('what I want');
  await other.getByLabel('What its alerts say').fill('what they want');
  await other.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText(`${operator.name} has changed this`)).toBeVisible({ timeout: 2_000 });
  await expect(says).toHaveValue('what I want');
  await axe(page);
  await page.getByRole('button', { name: 'Show it in place of what I entered' }).click();
  await expect(says).toHaveValue('what they want');

  const image = stage.unique('shared');
  await stage.image(image);
  await page.goto(`images/${image}`);
  await expect(page.getByRole('heading', { level: 1, name: image })).toBeVisible();
  await stage.image(image);
  await expect(page.getByText('has uploaded a version of this')).toBeVisible({ timeout: 2_000 });
  await expect(page.getByText(`${image}/2`)).toBeVisible();
});

test('the network is lost and comes back', async ({ stage, page }) => {
  const purpose = stage.unique('Away');
  const { name: before } = await newWorkspace(stage, purpose);
  await page.goto(`workspaces?search=${purpose}`);
  await expect(page.getByRole('link', { name: before })).toBeVisible();
  await shown(page);
  await page.context().setOffline(true);
  await expect(page.getByText(/The server does not answer. What is shown is from \d\d:\d\d/)).toBeVisible();
  const { name } = await newWorkspace(stage, purpose);
  await expect(page.getByRole('link', { name })).toHaveCount(0);
  await page.context().setOffline(false);
  await expect(page.getByRole('link', { name })).toBeVisible();
  await expect(page.getByText(/The server does not answer/)).toHaveCount(0);
});
