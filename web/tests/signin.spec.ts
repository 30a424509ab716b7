import { axe, expect, test } from './fixtures';
import { search } from './search';
import { signIn } from './signIn';

test('somebody signs in and comes to what they asked for; signing out counts in all tabs', async ({ stage, open }) => {
  const operator = await stage.newOperator();
  const page = await open(undefined);
  await page.goto('images?search=nothing');
  await expect(page.getByRole('heading', { level: 1, name: 'Sign in to Dormer' })).toBeVisible();
  await axe(page);
  await signIn(page, { ...operator, password: 'not this one' });
  await expect(page.getByRole('heading', { name: 'Name or password is wrong' })).toBeVisible();
  await expect(page.getByLabel('Name')).toHaveValue(operator.name);
  await signIn(page, operator);
  await expect(page.getByRole('heading', { level: 1, name: 'Images' })).toBeVisible();
  expect(page.url()).toContain('images?search=nothing');

  const other = await page.context().newPage();
  await other.goto('settings/server');
  await expect(other.getByRole('heading', { level: 1, name: 'Settings' })).toBeVisible();
  await page.getByRole('button', { name: operator.name }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await expect(page.getByRole('button', { name: 'Sign in', exact: true })).toBeVisible();
  await expect(other.getByRole('button', { name: 'Sign in', exact: true })).toBeVisible();
  // And in again, in both.
  await signIn(other, operator);
  await expect(other.getByRole('heading', { level: 1, name: 'Settings' })).toBeVisible();
  await expect(page.getByRole('heading', { level: 1, name: 'Images' })).toBeVisible();
});

test('a password that was given must be changed first', async ({ stage, open }) => {
  const name = stage.unique('fresh');
  const password = 'given on a note';
  await stage.api('POST', '/directory/users', { name, password, must_change: true });
  await stage.api('PUT', '/operators', { kind: 'user', name, role: 'full' });
  const page = await open(undefined);
  await page.goto('');
  await signIn(page, { name, password });
  await expect(page.getByText('Choose a new password')).toBeVisible();
  const change = page.getByRole('button', { name: 'Change the password and sign in' });
  await page.getByRole('textbox', { name: 'New password', exact: true }).fill('short');
  await page.getByRole('textbox', { name: 'New password again' }).fill('shor');
  await expect(page.getByText('This is not the same as above.')).toBeVisible();
  await expect(change).toBeDisabled();
  await page.getByRole('textbox', { name: 'New password again' }).fill('short');
  await change.click();
  // What the server says of the new password is said at it.
  await expect(page.getByRole('textbox', { name: 'New password', exact: true })).toHaveAttribute(
    'aria-invalid',
    'true',
  );
  await page.getByRole('textbox', { name: 'New password', exact: true }).fill('a horse of another colour');
  await page.getByRole('textbox', { name: 'New password again' }).fill('a horse of another colour');
  await axe(page);
  await change.click();
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
});

test('who is no operator is told what to do', async ({ stage, open }) => {
  const user = await stage.newUser();
  const page = await open(undefined);
  await page.goto('');
  await signIn(page, user);
  await expect(page.getByText('You are not an operator of this instance')).toBeVisible();
});

test('a session that ends takes no input with it', async ({ stage, open }) => {
  const operator = await stage.newOperator();
  const page = await open(operator);
  await page.goto('settings/groups');
  await page.getByRole('button', { name: 'Add a group' }).first().click();
  const group = stage.unique('auditors');
  await page.getByRole('dialog').getByLabel('Name').fill(group);
  await stage.api('POST', '/sessions/end', { user: operator.name });
  await page.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click();
  const again = page.getByRole('dialog', { name: 'Your session has ended' });
  await expect(again).toBeVisible();
  await axe(page);
  await page.keyboard.press('Escape');
  await expect(again).toBeVisible();
  await expect(again.getByLabel('Name')).toHaveValue(operator.name);
  const asked = again.getByRole('textbox', { name: 'Password', exact: true });
  await expect(asked).toBeFocused();
  await asked.fill(operator.password);
  await again.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(again).toBeHidden();
  // What was asked is done now.
  await search(page, 'groups', group);
  await expect(page.getByRole('row').filter({ hasText: group })).toBeVisible();
});
