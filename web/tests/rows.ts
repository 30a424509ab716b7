import { appendFileSync } from 'node:fs';

/**
 * A figure of a measurement, where scripts/console-run.sh wants it: in a file, for
 * what a worker inherits is Playwright's alone.
 */
export function row(name: string, value: number, unit: string): void {
  const file = process.env['DORMER_BENCH_ROWS'];
  if (file === undefined) throw new Error('measurements are made by scripts/console-run.sh');
  appendFileSync(file, `${process.env['DORMER_SIZE_PREFIX'] ?? ''}${name} ${Math.round(value * 10) / 10} ${unit}\n`);
}
