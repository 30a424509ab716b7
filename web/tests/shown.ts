import { expect, type Page } from '@playwright/test';

/** Waits until a page is there: it has its one heading, and nothing in it loads. */
export async function shown(page: Page): Promise<void> {
  await expect(page.getByRole('heading', { level: 1 })).toHaveCount(1);
  await expect(page.locator('[aria-busy="true"], [role="progressbar"]')).toHaveCount(0);
  await page.evaluate(() => document.fonts.ready);
}
