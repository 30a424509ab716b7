import type { Page } from '@playwright/test';
import type { Operator } from './fixtures';

/** Fills in the page that asks who one is. */
export async function signIn(page: Page, who: Pick<Operator, 'name' | 'password'>): Promise<void> {
  await page.getByLabel('Name').fill(who.name);
  await page.getByRole('textbox', { name: 'Password', exact: true }).fill(who.password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}
