import { describe, expect, it } from 'vitest';
import { fitting, kinds } from './conditions';

const organization = {
  spec: {
    sites: [{ name: 'Berlin' }, { name: 'Plant' }],
    networks: [{ name: 'Laboratory' }],
    separations: [{ name: 'Payroll' }],
  },
};
const kind = (id: string) => {
  const found = kinds.find((k) => k.id === id);
  if (!found) throw new Error(`no kind ${id}`);
  return found;
};

describe('conditions to try', () => {
  it('are written as the server reads them', () => {
    expect(kind('users').text(['2000', 'Berlin'])).toBe('users=+2000@Berlin');
    expect(kind('users').text(['-50', 'Berlin'])).toBe('users=-50@Berlin');
    expect(kind('capacity').text(['20000'])).toBe('capacity=20000');
    expect(kind('trust').text(['a', 'b'])).toBe('trust=a:b');
  });

  it('offer the names of the organization', () => {
    const [which] = kind('without').blanks;
    expect(which && fitting(organization, which)).toEqual(['separation:Payroll', 'network:Laboratory']);
    const [, site] = kind('users').blanks;
    expect(site && fitting(organization, site)).toEqual(['Berlin', 'Plant']);
  });
});
