import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const checkout = join(dirname(fileURLToPath(import.meta.url)), '../..');

/**
 * Sees to it that there is a stage: the one that the variables name, as in `go
 * test ./internal/consoletest`, or one of its own on what is in the checkout now.
 */
export default async function setUp(): Promise<(() => Promise<void>) | undefined> {
  if (process.env['DORMER_STAGE'] !== undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'dormer-stage'));
  const program = join(folder, 'stage');
  const quiet = { cwd: checkout, stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'] };
  execFileSync('scripts/console.sh', quiet);
  execFileSync('go', ['build', '-o', program, './internal/consoletest/byhand'], quiet);
  const stage = spawn(program, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<void>((done) => {
    stage.on('exit', () => done());
  });
  for await (const line of createInterface(stage.stdout)) {
    const [, name, value] = /^export (\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined) process.env[name] = value;
    if (name === 'DORMER_STAGE_SECRET') break;
  }
  return async () => {
    stage.stdin.end();
    await ended;
    rmSync(folder, { recursive: true });
  };
}
