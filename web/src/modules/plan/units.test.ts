import { describe, expect, it } from 'vitest';
import { lasting, sized } from './units';

describe('units of the plan', () => {
  it('are thousands of bytes', () => {
    expect(sized(36_200_000_000)).toBe('36.2 GB');
    expect(sized(12)).toBe('12 B');
  });

  it('are times in two units at most', () => {
    expect(lasting(53_580)).toBe('14 h 53 min');
    expect(lasting(86_400)).toBe('1 d');
    expect(lasting(86_460)).toBe('1 d');
    expect(lasting(0.024)).toBe('24 ms');
    expect(lasting(61)).toBe('1 min 1 s');
  });
});
