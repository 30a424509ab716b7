import { defineConfig } from '@playwright/test';

/** What is run in place of the journeys: pictures or bench, see scripts/console-run.sh. */
const once = process.env['DORMER_CONSOLE_RUN'];

/** Whether a test in Go runs them, and tells of them. */
const reported = process.env['DORMER_STAGE_REPORT'] !== undefined;

/** Journeys through the console, each on a server of its worker's own. See tests/fixtures.ts. */
export default defineConfig({
  testDir: 'tests',
  testMatch: once === undefined ? '*.spec.ts' : `${once}.once.ts`,
  outputDir: once === undefined ? '../build/console' : `../build/console-${once}`,
  globalSetup: './tests/stage.ts',
  workers: once === undefined ? 2 : 1,
  fullyParallel: true,
  retries: 0,
  forbidOnly: process.env['DORMER_TEST_ALL'] === '1',
  // Generous: nothing is slower for it that works, and machines of tests are busy.
  timeout: 240_000,
  expect: { timeout: 30_000 },
  reporter: reported ? [['json']] : [['list']],
  use: {
    browserName: 'chromium',
    ignoreHTTPSErrors: true,
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    viewport: { width: 1280, height: 800 },
    // It costs a third of the time: for those who run a journey by hand, and look at it.
    trace: once === undefined && !reported ? 'retain-on-failure' : 'off',
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env['DORMER_CHROMIUM'] ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
    },
  },
});
