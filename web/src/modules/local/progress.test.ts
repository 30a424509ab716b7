import { expect, test } from 'vitest';
import { percent, progressText, span } from './progress';

const job = {
  id: 'a',
  kind: 'upload' as const,
  name: 'office',
  state: 'running' as const,
  done: 1024 * 1024,
  total: 4 * 1024 * 1024,
  rate: 1024 * 1024,
  asked: '2026-01-01T00:00:00Z',
  warnings: [],
};

test('how much is done', () => {
  expect(percent(job)).toBe(25);
  expect(percent({ ...job, done: 9e9 })).toBe(100);
  expect(percent({ ...job, total: 0 })).toBeUndefined();
});

test('how it goes', () => {
  expect(progressText(job)).toBe('1 MiB of 4 MiB, 1 MiB a second, 3 s left');
  expect(progressText({ ...job, rate: 0 })).toBe('1 MiB of 4 MiB');
  expect(progressText({ ...job, total: 0, rate: 0 })).toBe('1 MiB');
});

test('spans of time', () => {
  expect(span(0.4)).toBe('1 s');
  expect(span(125)).toBe('2 min 5 s');
  expect(span(7300)).toBe('2 h 1 min');
});
