import { axe, expect, test } from './fixtures';

test('somebody signs in with a password and comes to the overview', async ({ stage, open }) => {
  const operator = await stage.newOperator('full');
  const page = await open(undefined);
  await page.goto('.');
  await page.getByLabel('Name').fill(operator.name);
  await page.getByLabel('Password').fill(operator.password);
  await axe(page);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await expect(page.getByRole('button', { name: operator.name })).toBeVisible();
});

test('it is dark, and times are those of another zone, also after the page was loaded again', async ({
  stage,
  open,
}) => {
  const operator = await stage.newOperator('full');
  const page = await open(operator);
  await page.goto('audit');
  const first = page.getByRole('time').first();
  const day = await first.getAttribute('datetime');
  const shown = (timeZone: string) =>
    new Date(day ?? '').toLocaleString('en-GB', { timeZone, dateStyle: 'medium', timeStyle: 'short' });
  await expect(first).toHaveText(shown('Europe/Berlin'));
  const menu = page.getByRole('button', { name: operator.name });
  await menu.click();
  await page.getByRole('menuitem', { name: 'Dark' }).click();
  await menu.click();
  await page.getByRole('menuitem', { name: 'Time zone: Europe/Berlin' }).click();
  await axe(page);
  await page.getByRole('combobox', { name: 'Time zone' }).selectOption('Asia/Tokyo');
  await page.getByRole('button', { name: 'Use it' }).click();
  await expect(page.locator(`time[datetime="${day ?? ''}"]`).first()).toHaveText(shown('Asia/Tokyo'));
  await page.reload();
  await expect(page.locator(`time[datetime="${day ?? ''}"]`).first()).toHaveText(shown('Asia/Tokyo'));
  await expect(page.locator('html')).toHaveCSS('color-scheme', 'dark');
  await menu.click();
  await page.getByRole('menuitem', { name: 'Light' }).click();
  await expect(page.locator('html')).toHaveCSS('color-scheme', 'light');
});

test('a computer on the stage runs a workspace, and the server knows', async ({ stage }) => {
  const image = stage.unique('office');
  await stage.image(image);
  const user = await stage.newUser();
  const name = stage.unique('Office');
  await stage.newWorkspace(
    [
      'apiVersion: dormer/v1',
      'kind: Workspace',
      `metadata: {name: ${name}}`,
      `spec: {machine: {image: {name: ${image}}}, performance: {memory: [{guest: 128MiB}]}}`,
      `grants: [{principal: {directory: local, kind: user, name: ${user.name}}}]`,
    ].join('\n'),
  );
  const desk = await stage.computer(stage.unique('desk'), user.name);
  await desk.start();
  const rows = await stage.api<{ items: { state: string; host: string }[] }>(
    'GET',
    '/reports/status?days=1&limit=1000',
  );
  expect(rows.items.filter((row) => row.host === desk.name).map((row) => row.state)).toEqual(['running']);
  await desk.stop();
  await desk.offline();
});
