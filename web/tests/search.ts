import type { Page } from '@playwright/test';

/** Narrows a list: journeys share a server, and what one of them has made may be on any page of it. */
export const search = async (page: Page, list: string, text: string): Promise<void> =>
  await page.getByRole('textbox', { name: `Search ${list}`, exact: true }).fill(text);
