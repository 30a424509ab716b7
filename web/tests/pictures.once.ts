import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from './fixtures';
import { fillForPictures } from './scene';
import { shown } from './shown';
import { routes } from './routes';
import { screenOf, written } from './screen';
import { addTest, begin, choose, layDisk } from './thisComputer';
import type { Page } from '@playwright/test';

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../build/pictures');
const plan = join(dirname(fileURLToPath(import.meta.url)), '../../examples/plans/twelve-thousand.yaml');

/** What a picture of a route is called: its path, without what names one thing. */
const called = (route: string, of: Record<string, string>): string => {
  const parts = Object.entries(of).reduce(
    (text, [kind, id]) => text.replace(id, kind),
    route === '' ? 'overview' : route,
  );
  return parts.replaceAll(/\/|\?tab=/g, '-');
};

const picture = async (page: Page, name: string): Promise<void> => {
  await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled', caret: 'hide' });
};

for (const theme of ['light', 'dark'] as const) {
  test(`pictures, ${theme}`, async ({ stage, open }) => {
    test.setTimeout(300_000);
    mkdirSync(folder, { recursive: true });
    const { filled, operator } = await fillForPictures(stage);
    const page = await open(operator, {
      colorScheme: theme,
      viewport: { width: 1280, height: 800 },
      reducedMotion: 'reduce',
    });
    for (const route of routes(filled)) {
      await page.goto(route === '' ? '.' : route);
      await shown(page);
      if (route === 'plan') {
        await page.getByLabel('File with a plan').setInputFiles(plan);
        await page.getByRole('button', { name: 'Close' }).first().click();
        await shown(page);
      }
      const name = called(route, {
        page: filled.workspace,
        'page-version': `${filled.image}/1`,
        'page ': filled.image,
        client: filled.client,
      });
      await picture(page, `${name.trim()}-${theme}`);
    }
  });

  test(`pictures of this computer, ${theme}`, async ({ stage, open }) => {
    const { operator } = await fillForPictures(stage);
    const bench = await stage.bench();
    layDisk(bench, 'office.raw', 8);
    const page = await open(undefined, {
      baseURL: `${new URL(bench.address).origin}/console/`,
      colorScheme: theme,
      reducedMotion: 'reduce',
    });
    await begin(page, bench, stage, operator);
    await bench.dormer('publisher', 'create', stage.unique('Desktop team'));
    await addTest(page, 'office.raw');
    await choose(page, 'office', 'Pack…');
    await page.getByRole('dialog').getByRole('button', { name: 'Pack' }).click();
    await expect(page.getByText('office is packed.')).toBeVisible();
    await picture(page, `local-jobs-${theme}`);
    await page.getByRole('tab', { name: 'Packed images' }).click();
    await shown(page);
    await picture(page, `local-packed-${theme}`);
    await page.getByRole('tab', { name: 'Test images' }).click();
    await choose(page, 'office', 'Test…');
    await page.getByRole('dialog').getByRole('button', { name: 'Start' }).click();
    await written(screenOf(page, 'office'));
    await picture(page, `local-run-${theme}`);
    await page.getByRole('button', { name: 'Shut down' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Shut down' }).click();
    await expect(page.getByText('has ended', { exact: true })).toBeVisible();
    await page.getByRole('link', { name: 'This computer' }).first().click();
    await shown(page);
    await picture(page, `local-${theme}`);
  });
}
