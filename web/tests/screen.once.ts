import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { inkOf, pictureOf, screenOf, written } from './screen';
import { watch } from './watch';

// Run by TestScreenOfARealGuest of internal/cli, which has made the guest: it writes on
// its serial line which lines were typed and what its mouse has sent.
const [address = '', disk = '', machines = ''] = (process.env['DORMER_SCREEN'] ?? '').split('\n');

/** What the guest has written on its serial line. */
function serial(): string {
  const [machine = ''] = readdirSync(machines);
  return readFileSync(join(machines, machine, 'console.log'), 'latin1');
}

/** Whether a button of the mouse was down in what it has sent: packets of three bytes, after the answer to its start. */
function pressed(): boolean {
  const sent = [...serial().matchAll(/^mouse (\w\w)/gm)].map(([, byte = '']) => parseInt(byte, 16));
  const [answer, ...packets] = sent;
  expect(answer).toBe(0xfa);
  return packets.some((byte, n) => n % 3 === 0 && (byte & 0b1001) === 0b1001);
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
  await expect.poll(pressed).toBe(true);

  // Its agent answers; it shuts down when it is asked to.
  await expect(page.getByText('its agent has answered')).toBeVisible();
  await page.getByRole('button', { name: 'Shut down' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Shut down' }).click();
  await expect(page.getByText('has ended', { exact: true })).toBeVisible({ timeout: 60_000 });
  await expect(screen).toBeHidden();
  expect(faults).toEqual([]);
});
