import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { shelf } from './shelf';

const numbers = () =>
  shelf<number>({
    storage: () => sessionStorage,
    read: (text) => Number(text ?? 7),
    write: (n) => (n === 7 ? null : String(n)),
  });

beforeEach(() => {
  sessionStorage.clear();
  vi.useFakeTimers();
});
afterEach(() => void vi.useRealTimers());

it('reads what was kept, each key by itself', () => {
  sessionStorage.setItem('a', '3');
  const on = numbers();
  expect([on.get('a'), on.get('b')]).toEqual([3, 7]);
});

it('keeps what is watched once it rests, and when its page is left', () => {
  const on = numbers();
  const changed = vi.fn();
  const stop = on.watch('a', changed);
  on.set('a', 1);
  on.set('a', 2);
  expect(changed).toHaveBeenCalledTimes(2);
  expect(sessionStorage.getItem('a')).toBeNull();
  vi.advanceTimersByTime(1_000);
  expect(sessionStorage.getItem('a')).toBe('2');
  on.set('a', 4);
  window.dispatchEvent(new Event('pagehide'));
  expect(sessionStorage.getItem('a')).toBe('4');
  on.set('a', 5);
  stop();
  expect(sessionStorage.getItem('a')).toBe('5');
});

it('keeps what nobody watches at once, and forgets', () => {
  const on = numbers();
  on.set('a', 1);
  expect(numbers().get('a')).toBe(1);
  on.set('a', 7);
  expect(sessionStorage.getItem('a')).toBeNull();
});

it('has the new value though the store of the browser is full', () => {
  const on = shelf<string>({
    storage: () => sessionStorage,
    read: (text) => text ?? '',
    write: () => {
      throw new DOMException('full', 'QuotaExceededError');
    },
  });
  on.set('a', 'long');
  expect(on.get('a')).toBe('long');
});
