import { expect, test } from './fixtures';
import { search } from './search';
import { shown } from './shown';
import { signIn } from './signIn';

test('below a path of a proxy everything is found, and what others change is told', async ({ stage, open }) => {
  const operator = await stage.newOperator();
  const below = await stage.proxy();
  const page = await open(undefined, { baseURL: `${below}/console/` });
  await page.goto('settings/groups');
  await signIn(page, operator);
  await expect(page.getByRole('heading', { level: 1, name: 'Settings' })).toBeVisible();
  expect(page.url()).toBe(`${below}/console/settings/groups`);

  // The list is asked for again because of the notice alone.
  const group = stage.unique('auditors');
  await stage.api('POST', '/directory/groups', { name: `${group} before` });
  await search(page, 'groups', group);
  await expect(page.getByText(`${group} before`)).toBeVisible();
  await stage.api('POST', '/directory/groups', { name: group });
  await expect(page.getByText(group, { exact: true })).toBeVisible({ timeout: 10_000 });

  await page.getByRole('navigation', { name: 'Modules' }).getByRole('link', { name: 'Images' }).click();
  await expect(page).toHaveURL(`${below}/console/images`);
  await page.reload();
  await shown(page);
  // A slash in a name is none of the path.
  await page.goto(`alerts/rules/${encodeURIComponent('a/b')}`);
  await shown(page);
  await page.goto(`${below}/`);
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  expect(page.url()).toBe(`${below}/console/`);
});
