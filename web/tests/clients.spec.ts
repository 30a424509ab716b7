import type { Page } from '@playwright/test';
import { axe, expect, test, type Stage } from './fixtures';

/** A computer with a workspace that runs. */
async function desk(stage: Stage) {
  const image = stage.unique('office');
  await stage.image(image);
  const user = await stage.newUser();
  const workspace = stage.unique('Office');
  await stage.newWorkspace(
    [
      'apiVersion: dormer/v1',
      'kind: Workspace',
      `metadata: {name: ${workspace}}`,
      `spec: {machine: {image: {name: ${image}}}, performance: {memory: [{guest: 128MiB}]}}`,
      `grants: [{principal: {directory: local, kind: user, name: ${user.name}}, atLimit: {grace: 0s}}]`,
    ].join('\n'),
  );
  const computer = await stage.computer(stage.unique('desk'), user.name);
  await computer.start();
  return { computer, user, workspace };
}

const row = (page: Page, text: string) => page.getByRole('row').filter({ hasText: text });

/** Gives the order to the machine in a row of the page, and answers what is asked. */
async function order(page: Page, workspace: string, verb: string, grace?: string) {
  await page.getByRole('tab', { name: 'Machines' }).click();
  await row(page, workspace).getByRole('button', { name: 'Kebab toggle' }).click();
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
  const { computer, user, workspace } = await desk(stage);
  await page.goto('clients');
  await page.getByLabel('Search clients').fill(user.name);
  await expect(row(page, computer.name)).toContainText('On-line');
  await expect(row(page, computer.name)).toContainText('1 of 1 run');
  await axe(page);
  await page.getByRole('link', { name: computer.name, exact: true }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(computer.name);
  await expect(row(page, workspace)).toContainText('Running');
  await expect(row(page, workspace)).toContainText(user.name);
  await axe(page);

  await order(page, workspace, 'Stop', 'None: at once');
  await page.getByRole('tab', { name: 'Orders' }).click();
  await expect(row(page, 'asked for by phone')).toContainText('Waits for the client');
  await computer.poll();
  await expect(async () => {
    await computer.poll();
    await expect(row(page, 'asked for by phone')).toContainText('Done', { timeout: 1000 });
  }).toPass();
  await page.getByRole('tab', { name: 'Machines' }).click();
  await expect(row(page, workspace)).toContainText('Ready');
  await page.getByRole('tab', { name: 'Events' }).click();
  await expect(row(page, 'asked for by phone').first()).toBeVisible();
  await axe(page);
  await computer.offline();
});
