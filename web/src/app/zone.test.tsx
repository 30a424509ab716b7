import { cleanup, render, screen } from '@testing-library/react';
import { afterEach, expect, test } from 'vitest';
import { Time } from '../components/format';
import { ZoneProvider } from './zone';

afterEach(() => {
  cleanup();
  localStorage.clear();
});

const shown = (kept: string): string => {
  localStorage.setItem('dormer.zone', kept);
  render(
    <ZoneProvider>
      <Time at="2026-03-01T12:00:00Z" />
    </ZoneProvider>,
  );
  return screen.getByText(/2026/u).textContent;
};

test('times are shown in the zone that was chosen', () => {
  expect(shown('Asia/Tokyo')).toBe('1 Mar 2026, 21:00');
});

test('a zone that this browser does not know is as none', () => {
  expect(shown('Mars/Olympus')).toContain('2026');
});
