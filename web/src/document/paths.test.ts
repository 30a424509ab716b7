import { describe, expect, test } from 'vitest';
import type { Json } from './json';
import { isBelow, steps, valueAt, withValue } from './paths';

const document: Json = {
  grants: [{ principal: { name: 'alice' } }, { offline: { limit: '1d' } }],
  spec: { a: { b: 1 } },
};

describe('paths', () => {
  test('are split into members and places', () => {
    expect(steps('grants[2].principal.name')).toEqual(['grants', 2, 'principal', 'name']);
    expect(steps('grants[].enabled')).toEqual(['grants', -1, 'enabled']);
    expect(steps('')).toEqual([]);
  });
  test('lie below others by whole names', () => {
    expect(isBelow('spec.web.rules[0]', 'spec.web')).toBe(true);
    expect(isBelow('spec.website', 'spec.web')).toBe(false);
    expect(isBelow('grants[1]', 'grants')).toBe(true);
  });
});

describe('values', () => {
  test('are found, or are not there', () => {
    expect(valueAt(document, 'grants[0].principal.name')).toBe('alice');
    expect(valueAt(document, 'grants[7].principal.name')).toBeUndefined();
    expect(valueAt(document, 'spec.constructor')).toBeUndefined();
  });
  test('are set without touching what was', () => {
    const changed = withValue(document, 'spec.c.d', true);
    expect(valueAt(changed, 'spec.c.d')).toBe(true);
    expect(valueAt(document, 'spec.c')).toBeUndefined();
    expect(valueAt(withValue({}, 'grants[0].enabled', false), 'grants')).toEqual([{ enabled: false }]);
  });
  test('that are taken away take empty objects along', () => {
    expect(withValue(document, 'spec.a.b', undefined)).toEqual({ grants: valueAt(document, 'grants') });
    expect(withValue(document, 'grants[1].offline.limit', undefined)).toEqual({
      grants: [{ principal: { name: 'alice' } }, {}],
      spec: { a: { b: 1 } },
    });
    expect(valueAt(withValue(document, 'grants[0]', undefined), 'grants')).toEqual([{ offline: { limit: '1d' } }]);
  });
  test('leave an object that is to be kept', () => {
    expect(withValue({ restart: { a: 1 }, name: 'x' }, 'restart.a', undefined, 'restart')).toEqual({
      restart: {},
      name: 'x',
    });
    expect(
      withValue(
        { actions: [{ joinDomain: { domain: 'a' } }] },
        'actions[0].joinDomain.domain',
        undefined,
        'actions[0].joinDomain',
      ),
    ).toEqual({
      actions: [{ joinDomain: {} }],
    });
  });
  test('of other members stay as they are, known or not', () => {
    expect(withValue({ spec: { future: [1], x: 'y' } }, 'spec.x', 'z')).toEqual({ spec: { future: [1], x: 'z' } });
  });
});
