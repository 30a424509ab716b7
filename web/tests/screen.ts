import { expect, type Locator, type Page } from '@playwright/test';

/** The guest's screen on the page of a run. */
export const screenOf = (page: Page, test: string): Locator => page.getByRole('img', { name: `Screen of ${test}` });

/** What is on a screen now, as one text. */
export const pictureOf = async (screen: Locator): Promise<string> =>
  await screen.evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());

/** How many pixels of a screen have each colour now, the commonest first. */
const coloursOf = async (screen: Locator): Promise<number[]> =>
  await screen.evaluate((canvas: HTMLCanvasElement) => {
    const { data } = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height) ?? { data: [] };
    const found = new Map<number, number>();
    for (const pixel of new Uint32Array(new Uint8Array(data).buffer)) found.set(pixel, (found.get(pixel) ?? 0) + 1);
    return [...found.values()].toSorted((a, b) => b - a);
  });

/** How much is written on a screen now: pixels that have not the colour of the ground. A cursor has few. */
export const inkOf = async (screen: Locator): Promise<number> =>
  (await coloursOf(screen)).slice(1).reduce((sum, pixels) => sum + pixels, 0);

/** Waits until a guest has written in colours, which no firmware does: it is up, and waits for keys. */
export async function written(screen: Locator): Promise<void> {
  await expect.poll(async () => (await coloursOf(screen)).length, { timeout: 120_000 }).toBeGreaterThan(2);
}
