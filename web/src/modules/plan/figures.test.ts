import { describe, expect, it } from 'vitest';
import { bySite } from './figures';

const part = (site: string, users: number) => ({ site, users, active: users, domain: 'corp.example.test' });
const instance = (name: string, ...parts: ReturnType<typeof part>[]) => ({
  name,
  parts,
  users: 0,
  active: 0,
  accepts: [],
  domain: 'corp.example.test',
  reasons: [],
  seat: '',
  site: '',
});

describe('people by site and instance', () => {
  it('has the largest sites first, and no instance without people in them', () => {
    const got = bySite(
      [instance('One', part('A', 5), part('B', 20)), instance('Two', part('B', 10)), instance('Three', part('C', 1))],
      2,
    );
    expect(got.sites).toEqual(['B', 'A']);
    expect(got.series).toEqual([
      { name: 'One', values: [20, 5] },
      { name: 'Two', values: [10, 0] },
    ]);
  });
});
