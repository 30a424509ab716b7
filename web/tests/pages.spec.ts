import { usable } from './controls';
import { axe, expect, test } from './fixtures';
import { fill, longName, names } from './fill';
import { routes } from './routes';
import { search } from './search';
import { shown } from './shown';
import type { Page } from '@playwright/test';

/** The page is no wider than the window; what is wide in it scrolls by itself. */
async function fits(page: Page): Promise<void> {
  const wide = await page.evaluate(() => {
    const limit = document.documentElement.clientWidth;
    const scrolls = document.scrollingElement;
    return scrolls !== null && scrolls.scrollWidth > limit ? `${scrolls.scrollWidth} > ${limit}` : '';
  });
  expect.soft(wide, `width of ${page.url()}`).toBe('');
}

/** What looks at every page does it in two halves, for there are two workers. */
const halves = [0, 1];

for (const half of halves) {
  test(`every page, light and dark, wide and narrow, can be used by everybody (${half + 1} of 2)`, async ({
    stage,
    open,
  }) => {
    const all = routes(await fill(stage)).filter((_, n) => n % 2 === half);
    const page = await open('full', { reducedMotion: 'reduce' });
    for (const route of all) {
      await test.step(route === '' ? 'overview' : route, async () => {
        await page.setViewportSize({ width: 1280, height: 800 });
        await page.emulateMedia({ colorScheme: 'light' });
        await page.goto(route === '' ? '.' : route);
        await shown(page);
        await axe(page);
        await fits(page);
        await page.emulateMedia({ colorScheme: 'dark' });
        await page.setViewportSize({ width: 360, height: 740 });
        await shown(page);
        await axe(page, 'color-contrast', 'scrollable-region-focusable', 'button-name', 'link-name', 'label');
        await fits(page);
      });
    }
  });
}

test('names in any script and scripts in names are texts', async ({ stage, page }) => {
  await fill(stage);
  await page.goto('workspaces');
  await shown(page);
  for (const name of [...names, longName, `<script>alert('ran')</script>`]) {
    await search(page, 'workspaces', name);
    await expect(page.getByText(name).first()).toBeVisible();
  }
});

test('the navigation can be used with the keyboard alone', async ({ page }) => {
  await page.goto('.');
  await shown(page);
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Skip to the page' })).toBeFocused();
  const links = page.getByRole('navigation', { name: 'Modules' }).getByRole('link');
  const wanted = await links.allTextContents();
  const reached: string[] = [];
  for (let n = 0; n < 40 && reached.length < wanted.length; n++) {
    await page.keyboard.press('Tab');
    const text = await page.evaluate(() => document.activeElement?.closest('nav a')?.textContent ?? '');
    if (text !== '') reached.push(text);
  }
  expect(reached).toEqual(wanted);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: wanted.at(-1) ?? '' })).toBeVisible();
});

/** What only shows something else, by its name, "menu: item" of what a menu has; after a page and a bar, only there. */
const reads = [
  /^(Search|Show) /,
  /^Actions( of .*)?$/su,
  /^Actions: Export$/,
  /^alerts\/rules \| Actions: Change$/, // leads to its page
  /^alerts\/(new-rule|rules\/.+) \| (Check|Cancel|Look what it would count now)$/,
  /^workspaces\/new \| Cancel$/,
  /^clients\/\w+ \| \d+ settings? (not enforced|taken over at the next start)$/,
  /^(Export|Export all that fit)(: (Excel \(\.xlsx\)|CSV|JSON))?$/,
  /^(Columns|Group by|Filters)(: .*)?$/su,
  /^(Refresh|Live|Details|Rows on a page|Table|Chart|Copy|Kind|Role|Scroll forward)$/,
  /^\d+ - \d+( of \d+|: \d+ per page)$/, // parts of long lists
  /^(Next|Previous) page$/,
  /^(Current page|Go to (first|previous|next|last) page)$/,
  /^\d+ more$/,
  /^clients\/\w+ \| Orders$/, // its items are what counts
  /^workspaces \| State$/,
  /^clients \| (State|Version of the agent)$/,
  /^clients\/orders \| Only those that wait for their clients$/,
  /^audit \| (Who|Action|What was changed|From|Until)$/,
  /^reports\/delivery \| Time$/,
  /^reports\/trends \| (Events of severity information, too|Time)$/,
  /tab=deployment \| Choose /, // what is chosen is only marked
  /tab=deployment \| .* \(user of local\)$/su, // opens it
  /tab=applications \| Writer$/,
  /tab=performance \| (Memory of the host in GiB|Processors of the host)$/, // what the policy would give
  /tab=web \| Address$/, // which rule would fit it
  /tab=why \| (User|What .* gets)$/su,
  /: who was found$/, // is nobody before something is typed
];

for (const half of halves) {
  test(`an operator who may only read sees every page, and can change nothing (${half + 1} of 2)`, async ({
    stage,
    open,
  }) => {
    const all = routes(await fill(stage)).filter((_, n) => n % 2 === half);
    const page = await open('read-only');
    const changes: string[] = [];
    page.on('request', (r) => {
      const asks = /\/(validate|why|explain|simulate|compare|plan|document|name-preview|presence|test)$/;
      if (r.method() !== 'GET' && !asks.test(new URL(r.url()).pathname)) changes.push(`${r.method()} ${r.url()}`);
    });
    for (const route of all) {
      // A plan is kept in the browser: everybody may make one.
      if (route === 'plan') continue;
      await test.step(route === '' ? 'overview' : route, async () => {
        await page.goto(route === '' ? '.' : route);
        await shown(page);
        const others = (await usable(page)).filter(
          (name) => !reads.some((read) => read.test(name) || read.test(`${route} | ${name}`)),
        );
        expect.soft(others, route).toEqual([]);
      });
    }
    expect(changes).toEqual([]);
  });
}
