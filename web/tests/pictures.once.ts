import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from './fixtures';
import { fillForPictures } from './scene';
import { shown } from './shown';
import { routes } from './routes';

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
      await page.screenshot({
        path: join(folder, `${name.trim()}-${theme}.png`),
        animations: 'disabled',
        caret: 'hide',
      });
    }
  });
}
