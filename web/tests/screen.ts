import { expect, type Locator, type Page } from '@playwright/test';

/** The guest's screen on the page of a run. */
export const screenOf = (page: Page, test: string): Locator => page.getByRole('img', { name: `Screen of ${test}` });

/** What is on a screen now, as one text. */
export const pictureOf = async (screen: Locator): Promise<string> =>
  await screen.evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());

/** How many colours are on a screen now. */
const coloursOf = async (screen: Locator): Promise<number> =>
  await screen.evaluate((canvas: HTMLCanvasElement) => {
    const pixels = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
    return new Set(new Uint32Array(new Uint8Array(pixels).buffer)).size;
  });

/** Waits until something is written on a screen, and nothing more for a moment. */
export async function written(screen: Locator): Promise<void> {
  await expect.poll(async () => await coloursOf(screen)).toBeGreaterThan(1);
  let before = '';
  await expect
    .poll(
      async () => {
        const now = await pictureOf(screen);
        const still = now === before;
        before = now;
        return still;
      },
      { intervals: [700] },
    )
    .toBe(true);
}
