import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { inkOf, pictureOf, screenOf, written } from './screen';
import { watch } from './watch';

// Run by TestScreenOfARealGuest of internal/cli, which has made the guest: it writes on
// its serial line which lines were typed and what its pointer has sent.
const [address = '', disk = '', machines = ''] = (process.env['DORMER_SCREEN'] ?? '').split('\n');

/** What the guest has written on its serial line. */
function serial(): string {
  const [machine = ''] = readdirSync(machines);
  return readFileSync(join(machines, machine, 'console.log'), 'latin1');
}

const hundredths = (parts: readonly number[]): number[] => parts.map((part) => Math.round(part * 100));

/**
 * Where the guest's pointer was, as parts of its screen, when its button went down the last time. Linux tells of an
 * event after the time of it: its type (1 keys and buttons, 3 places), its code (272 the button; 0 and 1 the axes), its value.
 */
function pressedAt(): number[] | undefined {
  const place = [0, 0];
  let pressed: number[] | undefined;
  for (const [, numbers = ''] of serial().matchAll(/^pointer((?: \d+){12})/gm)) {
    const [type, code, low] = numbers.split(' ').slice(-4);
    if (type === '3') place[Number(code)] = Number(low) / 0x7fff;
    if (type === '1' && code === '272' && low === '1') pressed = [...place];
  }
  return pressed;
}

test('the screen of a guest, with keyboard and mouse', async ({ page }) => {
  const faults: string[] = [];
  watch(page, address, (fault) => faults.push(fault));
  await page.goto(address);
  await page.getByRole('navigation').getByRole('link', { name: 'This computer' }).click();
  await page.getByRole('button', { name: 'Add a test image' }).click();
  await page.getByLabel('Disk file').fill(disk);
  await page.getByRole('dialog').getByLabel('Name').fill('tiny');
  await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click();
  await page.getByRole('button', { name: 'Actions of tiny' }).click();
  await page.getByRole('menuitem', { name: 'Test…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Start' }).click();

  const screen = screenOf(page, 'tiny');
  await written(screen);
  const [ink, picture] = [await inkOf(screen), await pictureOf(screen)];
  await screen.click();
  await page.keyboard.type('hello from the page');
  await expect.poll(async () => await inkOf(screen)).toBeGreaterThan(ink + 200);
  expect(await pictureOf(screen)).not.toBe(picture);
  await page.keyboard.press('Enter');
  await expect.poll(serial).toContain('typed hello from the page');

  // Its pointer is where the mouse is.
  const box = await screen.boundingBox();
  for (const [across, down] of [
    [0.5, 0.5],
    [0.2, 0.9],
  ] as const) {
    const position = { x: across * (box?.width ?? 0), y: down * (box?.height ?? 0) };
    // Again and again, for the guest loads its driver meanwhile; from elsewhere, for it tells only of what is new.
    await expect(async () => {
      await screen.hover({ position: { x: 1, y: 1 } });
      await screen.click({ position });
      expect(hundredths(pressedAt() ?? [])).toEqual(hundredths([across, down]));
    }).toPass();
  }

  // Its agent answers; it shuts down when it is asked to.
  await expect(page.getByText('its agent has answered')).toBeVisible();
  await page.getByRole('button', { name: 'Shut down' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Shut down' }).click();
  await expect(page.getByText('has ended', { exact: true })).toBeVisible({ timeout: 60_000 });
  await expect(screen).toBeHidden();
  expect(faults).toEqual([]);
});
