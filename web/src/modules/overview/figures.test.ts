import { describe, expect, it } from 'vitest';
import { countErrors, openBySeverity, partsToLookAt, steps } from './figures';

describe('open alerts', () => {
  it('are counted by severity, and those nobody looks after', () => {
    const alerts = [
      { severity: 'error' },
      { severity: 'warning', acknowledged: '2026-11-22T10:00:00Z' },
      { severity: 'warning' },
    ];
    expect(openBySeverity(alerts)).toBe('1 error, 2 warnings; 2 that nobody looks after');
  });

  it('may be none', () => {
    expect(openBySeverity([])).toBe('Nothing needs somebody');
  });
});

describe('errors', () => {
  it('are the sum of their groups', () => {
    expect(countErrors([{ count: 2 }, {}, { count: 40 }])).toBe(42);
  });
});

describe('parts of the server', () => {
  it('are all well, or some are to be looked at', () => {
    expect(partsToLookAt([{ status: 'ok' }, { status: 'ok' }])).toBe('All 2 parts are well');
    expect(partsToLookAt([{ status: 'ok' }, { status: 'warning' }])).toBe('1 of 2 parts to look at');
  });
});

describe('first steps', () => {
  it('end with a client', () => {
    const all = steps({ publishers: 1, images: 2, workspaces: 1, joined: 0, tokens: 1 });
    expect(all.filter((s) => !s.done).map((s) => s.title)).toEqual(['Enrol the first client']);
  });
});
