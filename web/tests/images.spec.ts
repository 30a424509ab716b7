import { axe, expect, test } from './fixtures';

test('an image is looked up, its users are seen, and versions are deleted with what that frees', async ({
  stage,
  page,
}) => {
  const image = stage.unique('desktop');
  await stage.image(image);
  const second = await stage.image(image);
  const workspace = stage.unique('Office');
  await stage.newWorkspace(
    [
      'apiVersion: dormer/v1',
      'kind: Workspace',
      `metadata: {name: ${workspace}}`,
      `spec: {machine: {image: {name: ${image}}}}`,
    ].join('\n'),
  );
  await page.goto('images');
  await page.getByLabel('Search images').fill(image);
  const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: image, exact: true }) });
  await expect(row.getByRole('link', { name: workspace })).toBeVisible();
  expect(page.url()).toContain(`search=${image}`);
  await axe(page);

  await row.getByRole('link', { name: image, exact: true }).click();
  await expect(page.getByRole('heading', { level: 1, name: image })).toBeVisible();
  await axe(page);
  await page.getByRole('link', { name: '1 workspace' }).click();
  await expect(page.getByRole('row').filter({ hasText: 'always the newest' })).toContainText(workspace);
  await page.getByRole('tab', { name: 'Versions' }).click();
  const numbers = second.number === 1 ? [1] : [1, 2];

  // The newest is used: deleting it takes a word more than its name.
  await page.getByLabel(`Choose version ${second.number}`).check();
  await page.getByRole('button', { name: 'Delete 1 version' }).click();
  const dialog = page.getByRole('dialog', { name: `Delete ${image}/${second.number}?` });
  await expect(dialog).toContainText('frees');
  await expect(dialog.getByRole('link', { name: workspace })).toBeVisible();
  await dialog.getByLabel(/^Type .* to confirm/).fill(`${image}/${second.number}`);
  await expect(dialog.getByRole('button', { name: 'Delete' })).toBeDisabled();
  await axe(page);
  await dialog.getByRole('button', { name: 'Cancel' }).click();

  await page
    .getByRole('link', { name: String(second.number), exact: true })
    .first()
    .click();
  await expect(page.getByRole('heading', { level: 1, name: `${image}/${second.number}` })).toBeVisible();
  await expect(page.getByText('No machine runs it')).toBeVisible();
  await axe(page);

  // All of it, although it is used.
  await page.getByRole('link', { name: image, exact: true }).click();
  await page.getByRole('button', { name: 'Delete image' }).click();
  const all = page.getByRole('dialog', { name: `Delete image ${image} with all versions?` });
  await all.getByLabel('Delete it although it is used').check();
  await all.getByLabel(/^Type .* to confirm/).fill(image);
  await all.getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText(`Deleted: image ${image} with all versions`)).toBeVisible();
  await expect(page.getByRole('heading', { level: 1, name: 'Images' })).toBeVisible();
  const left = await stage.api<{ items: { name: string }[] }>('GET', '/images');
  expect(left.items.map((i) => i.name)).not.toContain(image);
  const [record] = (await stage.api<{ items: { action: string; detail?: string }[] }>('GET', '/audit?limit=1')).items;
  expect(record?.detail).toBe(`all ${numbers.length} versions; forced, used by ${workspace}`);
});

test('a read-only operator sees all and deletes nothing', async ({ stage, open }) => {
  const image = stage.unique('kiosk');
  await stage.image(image);
  const page = await open('read-only');
  await page.goto(`images/${image}`);
  const button = page.getByRole('button', { name: 'Delete image' });
  await button.focus();
  await expect(page.getByRole('tooltip')).toContainText('Your role is read-only');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('dialog')).toBeHidden();
});
