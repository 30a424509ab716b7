import { describe, expect, it } from 'vitest';
import { Problem } from '../../api/problem';
import { future, publicKey, unlessExists, wholeNumber } from './faults';

const thrownBy = (what: () => unknown): unknown => {
  try {
    return what();
  } catch (thrown) {
    return thrown;
  }
};

const refused = (kind: string) =>
  Promise.reject(new Problem({ title: 'Exists', status: 409, kind, detail: 'the name is in use' }));

describe('what was entered', () => {
  it('is a whole number within limits', () => {
    expect(wholeNumber(' 24 ', 'hours', 1, 100)).toBe(24);
    for (const wrong of ['', '1.5', '0', '101', 'x', '1e9']) {
      expect(thrownBy(() => wholeNumber(wrong, 'hours', 1, 100))).toMatchObject({
        fields: [{ path: 'hours', message: 'must be a whole number from 1 to 100' }],
      });
    }
  });

  it('is a key', () => {
    const key = `${'A'.repeat(43)}=`;
    expect(publicKey(` ${key}\n`, 'key')).toBe(key);
    expect(thrownBy(() => publicKey('abc', 'key'))).toMatchObject({ fields: [{ path: 'key' }] });
  });

  it('is a day that is still to come, or none', () => {
    const now = Date.parse('2026-11-22T12:00:00Z');
    expect(future('', 'expires', now)).toBeUndefined();
    expect(future('2026-11-23', 'expires', now)).toBe('2026-11-23T00:00:00.000Z');
    expect(thrownBy(() => future('2026-11-22', 'expires', now))).toMatchObject({ fields: [{ path: 'expires' }] });
  });
});

describe('a refusal without a field', () => {
  it('lands at the field that it concerns', async () => {
    await expect(unlessExists('name', 'is in use', refused('exists'))).rejects.toMatchObject({
      kind: 'exists',
      fields: [{ path: 'name', message: 'is in use' }],
    });
  });

  it('of another kind stays as it is', async () => {
    await expect(unlessExists('name', 'is in use', refused('denied'))).rejects.toMatchObject({
      kind: 'denied',
      fields: [],
    });
  });
});
