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
