import { expect, test } from './fixtures';
import { row } from './rows';
import { fillForPictures } from './scene';

const median = (of: number[]): number => of.toSorted((a, b) => a - b)[Math.floor(of.length / 2)] ?? 0;

test('how large the console is, and how soon its first page is useful', async ({ stage, open }) => {
  test.setTimeout(180_000);
  const { operator } = await fillForPictures(stage);
  const useful: number[] = [];
  let script = 0;
  let all = 0;
  for (let n = 0; n < 5; n++) {
    // A browser that has never been here.
    const page = await open(operator);
    await page.goto('.', { waitUntil: 'commit' });
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await expect(page.getByRole('progressbar')).toHaveCount(0);
    useful.push(await page.evaluate(() => performance.now()));
    const sent = await page.evaluate(() =>
      performance
        .getEntriesByType('resource')
        .filter((e) => e instanceof PerformanceResourceTiming)
        .map((e) => ({ name: new URL(e.name).pathname, bytes: e.encodedBodySize })),
    );
    script = sent.filter((e) => e.name.endsWith('.js')).reduce((sum, e) => sum + e.bytes, 0);
    all = sent.filter((e) => e.name.includes('/console/')).reduce((sum, e) => sum + e.bytes, 0);
    await page.context().close();
  }
  row('console_first_page_script', script, 'bytes');
  row('console_first_page_files', all, 'bytes');
  row('console_first_page_useful', Math.round(median(useful)), 'ms');
});
