import { randomFillSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type Bench, type Operator, type Stage } from './fixtures';
import type { Page } from '@playwright/test';
import { signIn } from './signIn';

/**
 * The boot sector of a guest that writes each key that is pressed below a line in colours:
 *
 *     cli; xorw %ax,%ax; movw %ax,%ds; movw %ax,%ss; movw $0x7c00,%sp; sti
 *     movw $0x0003,%ax; int $0x10                             # text, an empty screen
 *     movw $0x0923,%ax; movw $0x4e,%bx; movw $40,%cx; int $0x10   # 40 times #, yellow on red
 *     movb $2,%ah; movw $7,%bx; movw $0x200,%dx; int $0x10    # to the third line
 *  1: xorb %ah,%ah; int $0x16                                 # waits for a key
 *     movb $0x0e,%ah; movw $7,%bx; int $0x10; jmp 1b
 */
const typewriter =
  'fa31c08ed88ed0bc007cfbb80300cd10b82309bb4e00b92800cd10b402bb0700ba0002cd1030e4cd16b40ebb0700cd10ebf3';

/** Lays a disk of that many MiB that is full of noise behind a boot sector. */
export function layDisk(bench: Bench, name: string, size: number): void {
  const disk = randomFillSync(Buffer.alloc(size << 20)).fill(0, 0, 512);
  disk.write(typewriter, 'hex');
  disk.writeUInt16LE(0xaa55, 510);
  mkdirSync(join(bench.folder, 'Disks'), { recursive: true });
  writeFileSync(join(bench.folder, 'Disks', name), disk);
}

/** What the dialog lists of files. */
export const item = (page: Page, name: string) => page.getByRole('dialog').getByRole('menuitem', { name });

/** The menu of a row. */
export async function choose(page: Page, row: string, what: string): Promise<void> {
  await page.getByRole('button', { name: `Actions of ${row}` }).click();
  await page.getByRole('menuitem', { name: what }).click();
}

/** Chooses a server by its address and authority, in the dialog that is open. */
export async function chooseServer(page: Page, server: Stage): Promise<void> {
  const dialog = page.getByRole('dialog', { name: 'Server' });
  await dialog.getByLabel('Address').fill(server.url);
  await dialog.getByRole('button', { name: 'Use it' }).click();
  await expect(dialog.getByLabel('Certificate')).toHaveAccessibleDescription(/not from an authority that is trusted/);
  await dialog.getByLabel('Certificate').fill(server.authority);
  await dialog.getByRole('button', { name: 'Use it' }).click();
}

/** Goes the way of somebody who has started `dormer console` for the first time. */
export async function begin(page: Page, bench: Bench, server: Stage, operator?: Operator): Promise<void> {
  await page.goto(bench.address);
  await page.getByRole('button', { name: 'Choose a server' }).click();
  await chooseServer(page, server);
  await signIn(page, operator ?? (await server.newOperator()));
  await page.getByRole('link', { name: 'This computer' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'This computer' })).toBeVisible();
}

/** Makes a test image of a disk that was laid. */
export async function addTest(page: Page, file: string): Promise<void> {
  await page.getByRole('button', { name: 'Add a test image' }).click();
  await item(page, 'Disks').click();
  await item(page, file).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click();
  await expect(page.getByRole('gridcell', { name: file.replace(/\..*/, ''), exact: true })).toBeVisible();
}
