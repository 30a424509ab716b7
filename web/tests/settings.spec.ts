import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { axe, expect, test } from './fixtures';
import { search } from './search';

const dialogOf = (page: Page) => page.getByRole('dialog');
const rowOf = (page: Page, text: string) => page.getByRole('row').filter({ hasText: text });

/** Opens a section of the settings and the dialog of its button. */
async function begin(page: Page, section: string, button: string): Promise<void> {
  await page.goto(`settings/${section}`);
  await page.getByRole('button', { name: button }).click();
  await expect(dialogOf(page)).toBeVisible();
}

/** Does what a dialog is for, with the button that says so. */
const finish = (page: Page, verb: string) => dialogOf(page).getByRole('button', { name: verb, exact: true }).click();

/** Reads the secret that is shown this once, and closes it. */
async function once(page: Page, title: string): Promise<string> {
  const secret = await dialogOf(page).getByRole('textbox', { name: title }).inputValue();
  await axe(page);
  await dialogOf(page).getByRole('button', { name: 'Close', exact: true }).click();
  await expect(dialogOf(page)).toHaveCount(0);
  return secret;
}

test('people are added, grouped and made operators; who may only read sees it and can change nothing', async ({
  stage,
  open,
}) => {
  const page = await open('full');
  const name = stage.unique('Zoë Ωmega 花子');
  await begin(page, 'users', 'Add a user');
  const dialog = dialogOf(page);
  await dialog.getByLabel('Name', { exact: false }).first().fill(name);
  await dialog.getByLabel('Password').fill('short');
  await finish(page, 'Add');
  await expect(dialog.getByLabel('Password')).toHaveAccessibleDescription(/at least 12 characters/);
  await dialog.getByLabel('Password').fill('');
  await dialog.getByLabel('Expires').fill('2020-01-01');
  await finish(page, 'Add');
  await expect(dialog.getByLabel('Expires')).toHaveAccessibleDescription(/must be in the future/);
  await axe(page);
  await dialog.getByLabel('Expires').fill('');
  await finish(page, 'Add');
  const password = await once(page, `Password of ${name}`);

  await page.getByRole('button', { name: 'Add a user' }).click();
  await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill(name.toUpperCase());
  await finish(page, 'Add');
  await expect(dialog.getByRole('textbox', { name: 'Name', exact: true })).toHaveAccessibleDescription(
    /in use already/,
  );
  await page.keyboard.press('Escape');

  const group = stage.unique('Büro & Verwaltung');
  await begin(page, 'groups', 'Add a group');
  await dialog.getByRole('textbox', { name: 'Name' }).fill(group);
  await finish(page, 'Add');
  await search(page, 'groups', group);
  await page.getByRole('button', { name: `Actions of ${group}` }).click();
  await page.getByRole('menuitem', { name: 'Put somebody in' }).click();
  await dialog.getByRole('combobox', { name: 'User or group' }).fill(name);
  await page.getByRole('option', { name: new RegExp(name) }).click();
  await finish(page, 'Put in');
  await expect(rowOf(page, group)).toContainText(name);
  // Taken out by mistake.
  await page.getByRole('button', { name: `Take ${name} out of ${group}` }).click();
  await expect(rowOf(page, group)).not.toContainText(name);
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(rowOf(page, group)).toContainText(name);

  await begin(page, 'operators', 'Add an operator');
  await dialog.getByRole('combobox', { name: 'User or group' }).fill(name);
  await page.getByRole('option', { name: new RegExp(name) }).click();
  await axe(page);
  await finish(page, 'Add');
  await search(page, 'operators', name);
  await expect(rowOf(page, name)).toContainText('Read-only');

  // What was made for them must be changed at once.
  const chosen = 'chosen by themselves';
  await stage.api('POST', '/sessions', { user: name, password, new_password: chosen });
  const reader = await open({ name, password: chosen, role: 'read-only' });
  await reader.goto('settings/users?search=zoë');
  await expect(reader.getByRole('button', { name: 'Add a user' })).toHaveAttribute('aria-disabled', 'true');
  await reader.getByRole('button', { name: `Actions of ${name}` }).click();
  await reader.getByRole('menuitem', { name: 'Remove' }).hover();
  await expect(reader.getByRole('tooltip')).toContainText('read-only');
  await reader.getByRole('menuitem', { name: 'Remove' }).click({ force: true });
  await expect(dialogOf(reader)).toHaveCount(0);
});

test('tokens, secrets and publishers are made, used and taken back, and the audit log has it all', async ({
  stage,
  open,
  playwright,
}) => {
  const operator = await stage.newOperator('full');
  const page = await open(operator);
  const dialog = dialogOf(page);

  const joining = stage.unique('laptops');
  await begin(page, 'join-tokens', 'Make a join token');
  await dialog.getByRole('textbox', { name: 'Name' }).fill(joining);
  await dialog.getByLabel('How many computers').fill('1.5');
  await finish(page, 'Make it');
  await expect(dialog.getByLabel('How many computers')).toHaveAccessibleDescription(/whole number/);
  await dialog.getByLabel('How many computers').fill('20');
  await dialog.getByLabel("Server's address").fill('nonsense');
  await finish(page, 'Make it');
  await expect(dialog.getByLabel("Server's address")).toHaveAccessibleDescription(/must begin with https/);
  await dialog.getByLabel("Server's address").fill('');
  await finish(page, 'Make it');
  expect(await once(page, `Join token ${joining}`)).toMatch(/^dormer1\./);
  await search(page, 'join tokens', joining);
  await expect(rowOf(page, joining)).toContainText('0 of 20');

  const exporting = stage.unique('nightly export');
  await begin(page, 'api-tokens', 'Make an API token');
  await dialog.getByRole('textbox', { name: 'Name' }).fill(exporting);
  await dialog
    .getByRole('group', { name: /Parts of the API/ })
    .getByLabel('reports')
    .check();
  await axe(page);
  await finish(page, 'Make it');
  const token = await once(page, `API token ${exporting}`);
  const program = await playwright.request.newContext({
    ignoreHTTPSErrors: true,
    extraHTTPHeaders: { Authorization: `Bearer ${token}` },
  });
  const statusOf = async (path: string) => (await program.get(`${stage.url}/api/v1${path}`)).status();
  expect([await statusOf('/audit'), await statusOf('/workspaces')]).toEqual([200, 403]);
  await search(page, 'API tokens', exporting);
  await page.getByRole('button', { name: `Actions of ${exporting}` }).click();
  await page.getByRole('menuitem', { name: 'Revoke' }).click();
  await finish(page, 'Revoke');
  await expect(rowOf(page, exporting)).toContainText('Revoked');
  expect(await statusOf('/audit')).toBe(401);
  await program.dispose();

  const secret = stage.unique('join.password');
  await begin(page, 'secrets', 'Leave a secret');
  await dialog.getByRole('textbox', { name: 'Name' }).fill('no name');
  await dialog.getByLabel('Secret', { exact: false }).last().fill('never shown');
  await finish(page, 'Leave it');
  await expect(dialog.getByRole('textbox', { name: 'Name' })).toHaveAccessibleDescription(/must be 1 to 100 letters/);
  await dialog.getByRole('textbox', { name: 'Name' }).fill(secret);
  await finish(page, 'Leave it');
  await search(page, 'secrets', secret);
  await expect(rowOf(page, secret)).toBeVisible();

  const publisher = stage.unique('packing');
  const { x = '' } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
  await begin(page, 'publishers', 'Trust a publisher');
  await dialog.getByRole('textbox', { name: 'Name' }).fill(publisher);
  await dialog.getByRole('textbox', { name: 'Public key' }).fill('abc');
  await finish(page, 'Trust');
  await expect(dialog.getByRole('textbox', { name: 'Public key' })).toHaveAccessibleDescription(/32 bytes in base64/);
  await dialog.getByRole('textbox', { name: 'Public key' }).fill(Buffer.from(x, 'base64url').toString('base64'));
  await finish(page, 'Trust');
  await search(page, 'publishers', publisher);
  await expect(rowOf(page, publisher)).toBeVisible();

  await page.goto('audit');
  await page.getByLabel('Who').fill(operator.name);
  await expect(page).toHaveURL(/who=/);
  const wanted = ['join-token.create', 'api-token.create', 'api-token.revoke', 'secret.set', 'publisher.add'];
  for (const action of wanted) await expect(rowOf(page, action)).toHaveCount(1);
  await axe(page);
  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export all that fit' }).click();
  await page.getByRole('menuitem', { name: 'CSV' }).click();
  const exported = readFileSync(await (await downloading).path(), 'utf8');
  for (const text of [...wanted, joining, exporting, secret, publisher]) expect(exported).toContain(text);
  expect(exported).not.toContain('never shown');
  await rowOf(page, 'join-token.create').getByRole('link', { name: joining }).click();
  await expect(rowOf(page, joining)).toBeVisible();
});
