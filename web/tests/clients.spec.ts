import type { Page } from '@playwright/test';
import { axe, expect, test } from './fixtures';
import { signIn } from './signIn';

const row = (page: Page, text: string) => page.getByRole('row').filter({ hasText: text });

/** Gives the order to the machine in a row of the page, and answers what is asked. */
async function order(page: Page, workspace: string, verb: string, grace?: string) {
  await page.getByRole('tab', { name: 'Machines' }).click();
  await page.getByRole('button', { name: `Actions of ${workspace}` }).click();
  await page.getByRole('menuitem', { name: verb }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Reason').fill('asked for by phone');
  if (grace !== undefined) await dialog.getByLabel('Time to save work').selectOption(grace);
  const typed = dialog.getByLabel(/^Type .* to confirm/);
  if ((await typed.count()) > 0) await typed.fill(workspace);
  await dialog.getByRole('button', { name: verb }).click();
  await expect(dialog).toBeHidden();
}

test('a client is found, followed live, and ordered about', async ({ stage, page }) => {
  const { computer, user, workspace } = await stage.desk();
  await page.goto('clients');
  await page.getByLabel('Search clients').fill(user);
  await expect(row(page, computer.name)).toContainText('On-line');
  await expect(row(page, computer.name)).toContainText('1 of 1 run');
  await axe(page);
  await page.getByRole('link', { name: computer.name, exact: true }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(computer.name);
  await expect(row(page, workspace)).toContainText('Running');
  await expect(row(page, workspace)).toContainText(user);
  await axe(page);

  await order(page, workspace, 'Stop', 'None: at once');
  await page.getByRole('tab', { name: 'Orders' }).click();
  await expect(async () => {
    await computer.poll();
    await expect(row(page, 'asked for by phone')).toContainText('Done', { timeout: 1000 });
  }).toPass();
  await page.getByRole('tab', { name: 'Machines' }).click();
  await expect(row(page, workspace)).toContainText('Ready');
  await order(page, workspace, 'Reset');
  for (const verb of ['Refresh', 'Collect diagnostics']) {
    await page.getByRole('button', { name: 'Orders' }).click();
    await page.getByRole('menuitem', { name: verb }).click();
    await page.getByRole('dialog').getByRole('button', { name: verb }).click();
    await expect(page.getByRole('dialog')).toBeHidden();
  }
  await page.getByRole('tab', { name: 'Orders' }).click();
  await expect(async () => {
    await computer.poll();
    await expect(row(page, 'Waits for the client')).toHaveCount(0, { timeout: 1000 });
  }).toPass();
  for (const verb of ['Reset', 'Refresh', 'Collect diagnostics']) {
    await expect(row(page, verb)).toContainText('Done');
  }
  await page.getByRole('tab', { name: 'Diagnostics' }).click();
  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download' }).click();
  expect((await download).suggestedFilename()).toMatch(/^diagnostics-.*\.tar\.gz$/);
  await axe(page);

  await page.getByRole('tab', { name: 'Events' }).click();
  await expect(row(page, 'asked for by phone').first()).toBeVisible();
  await axe(page);

  // What is deleted is downloaded again, for the workspace is still granted.
  await order(page, workspace, 'Delete');
  await page.getByRole('tab', { name: 'Orders' }).click();
  await expect(async () => {
    await computer.poll();
    await expect(row(page, 'Delete')).toContainText('Done', { timeout: 1000 });
  }).toPass();
  await computer.offline();
});

test('who was off-line beyond the limit is found', async ({ elsewhere, open }) => {
  await elsewhere.image('office');
  const user = await elsewhere.newUser();
  await elsewhere.newWorkspace({
    apiVersion: 'dormer/v1',
    kind: 'Workspace',
    metadata: { name: 'Travel' },
    spec: { machine: { image: { name: 'office' } } },
    grants: [
      {
        principal: { directory: 'local', kind: 'user', name: user.name },
        offline: { allow: 'limited', limit: '1h' },
      },
    ],
  });
  for (const name of ['desk', 'laptop']) await elsewhere.computer(name, user.name);
  const laptop = await elsewhere.computer('lost', user.name);
  await laptop.poll();
  await laptop.offline();
  await elsewhere.ahead(2 * 3600);
  const page = await open(undefined, { baseURL: elsewhere.console });
  await page.goto('clients');
  await signIn(page, await elsewhere.newOperator());
  await page.getByRole('link', { name: /^Off-line beyond limit/ }).click();
  await expect(page).toHaveURL(/state=beyond-limit/);
  await expect(row(page, 'lost')).toContainText('Off-line beyond limit');
  await expect(row(page, 'desk')).toHaveCount(0);
  await page.getByRole('link', { name: 'lost', exact: true }).click();
  await expect(page.getByText('Off-line beyond limit').first()).toBeVisible();
});

test('who may only read sees clients and changes none; an order is taken back; a client is revoked by its name', async ({
  stage,
  page,
  open,
}) => {
  const name = stage.unique('desk');
  const computer = await stage.computer(name);
  const reader = await open('read-only');
  await reader.goto(`clients/${computer.client}`);
  await reader.getByRole('button', { name: 'Orders' }).click();
  const refused = reader.getByRole('menuitem', { name: 'Revoke' });
  await expect(refused).toHaveAttribute('aria-disabled', 'true');
  await expect(refused).toContainText('Your role is read-only');

  await computer.offline();
  await page.goto(`clients/${computer.client}`);
  await page.getByRole('button', { name: 'Orders' }).click();
  await page.getByRole('menuitem', { name: 'Lock' }).click();
  await page.getByLabel('Reason').fill('lost');
  await page.getByRole('dialog').getByRole('button', { name: 'Lock' }).click();
  await page.goto('clients/orders?waiting=true');
  await row(page, 'lost').getByRole('button', { name: 'Actions of the order: Lock' }).click();
  await page.getByRole('menuitem', { name: 'Withdraw' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Withdraw' }).click();
  await expect(page.getByRole('heading', { name: 'No order waits' })).toBeVisible();
  await axe(page);

  await page.goto(`clients/${computer.client}`);
  await page.getByRole('button', { name: 'Orders' }).click();
  await page.getByRole('menuitem', { name: 'Revoke' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByRole('button', { name: 'Revoke' })).toBeDisabled();
  await dialog.getByLabel(`Type ${name} to confirm`).fill(name);
  await dialog.getByRole('button', { name: 'Revoke' }).click();
  await expect(page.getByText('This client is revoked')).toBeVisible();
  await page.goto('clients?state=revoked');
  await expect(row(page, name)).toContainText('Revoked');
  await page.goto('clients/deletions');
  await expect(page.getByRole('heading', { name: 'No deletion waits' })).toBeVisible();
  await axe(page);
});
