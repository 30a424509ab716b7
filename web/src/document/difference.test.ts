import { describe, expect, it } from 'vitest';
import { changes } from './difference';
import type { Json } from './json';

const grant = (name: string, more: object = {}) => ({ principal: { kind: 'user', name }, ...more });

const rule = (domain: string, open: string) => ({ domain, open });

describe('changes', () => {
  it('are none between documents that say the same', () => {
    expect(changes({ a: 1, b: { c: [1] } }, { b: { c: [1] }, a: 1 })).toEqual([]);
  });

  it('name fields, those of what was not there before too', () => {
    expect(changes({ spec: { a: 1, b: 'x', gone: true } }, { spec: { a: 2, b: 'x', web: { open: 'host' } } })).toEqual([
      { path: 'spec.a', before: 1, after: 2 },
      { path: 'spec.gone', before: true },
      { path: 'spec.web.open', after: 'host' },
    ]);
  });

  it('tell what has no members from what is not there', () => {
    expect(changes({}, { restart: {} })).toEqual([{ path: 'restart', after: {} }]);
    expect(changes({ a: null }, { a: {} })).toEqual([{ path: 'a', before: null, after: {} }]);
  });

  it('match items by their names', () => {
    const before: Json = {
      published: [
        { name: 'Mail', command: 'm' },
        { name: 'Editor', command: 'e' },
      ],
    };
    const after: Json = { published: [{ name: 'Browser' }, { name: 'editor', command: 'e2' }] };
    expect(changes(before, after)).toEqual([
      { path: 'published[0]', before: { name: 'Mail', command: 'm' } },
      { path: 'published[0]', after: { name: 'Browser' } },
      { path: 'published[1].name', before: 'Editor', after: 'editor' },
      { path: 'published[1].command', before: 'e', after: 'e2' },
    ]);
  });

  it('match grants by key, and by name where there is none yet', () => {
    const before: Json = { grants: [grant('alice'), { principal: { kind: 'user', name: 'bob', key: 'k1' } }] };
    const after: Json = {
      grants: [
        { principal: { kind: 'user', name: 'robert', key: 'k1' } },
        { principal: { kind: 'user', directory: 'local', name: 'Alice', key: 'k2' }, enabled: false },
      ],
    };
    expect(changes(before, after)).toEqual([
      { path: 'grants[0].principal.name', before: 'bob', after: 'robert' },
      { path: 'grants[1].principal.name', before: 'alice', after: 'Alice' },
      { path: 'grants[1].principal.directory', after: 'local' },
      { path: 'grants[1].principal.key', after: 'k2' },
      { path: 'grants[1].enabled', after: false },
      { path: 'grants', before: ['alice', 'bob'], after: ['bob', 'alice'], order: true },
    ]);
  });

  it('do not take a group for a user of the same name', () => {
    const group = { principal: { kind: 'group', name: 'staff' } };
    expect(changes({ grants: [grant('staff')] }, { grants: [group] })).toHaveLength(2);
  });

  it('find items without names by what they say, else by their place', () => {
    const before = [rule('a', 'host'), rule('b', 'host'), rule('c', 'guest')];
    const after = [rule('new', 'guest'), rule('a', 'host'), rule('b', 'guest'), rule('c', 'guest')];
    expect(changes({ rules: before }, { rules: after })).toEqual([
      { path: 'rules[0]', after: rule('new', 'guest') },
      { path: 'rules[2].open', before: 'host', after: 'guest' },
    ]);
  });

  it('of a list that was not there name each thing in it', () => {
    const grants = [{ name: 'alice' }, { name: 'bob' }];
    expect(changes({}, { grants })).toEqual([
      { path: 'grants[0]', after: { name: 'alice' } },
      { path: 'grants[1]', after: { name: 'bob' } },
    ]);
    expect(changes({ grants }, {})).toEqual([
      { path: 'grants[0]', before: { name: 'alice' } },
      { path: 'grants[1]', before: { name: 'bob' } },
    ]);
  });

  it('of plain lists are what came and what went', () => {
    expect(changes({ usb: ['storage', 'audio'] }, { usb: ['audio', 'smartcard'] })).toEqual([
      { path: 'usb[0]', before: 'storage' },
      { path: 'usb[1]', after: 'smartcard' },
    ]);
  });

  it('of 5,000 items without names are found in a moment', () => {
    const before = Array.from({ length: 5000 }, (_, n) => ({ prefix: `10.0.${n >> 8}.${n & 255}/32` }));
    const after = [...before.slice(0, 2500), { prefix: '192.0.2.0/24' }, ...before.slice(2500)];
    expect(changes({ rules: before }, { rules: after })).toEqual([
      { path: 'rules[2500]', after: { prefix: '192.0.2.0/24' } },
    ]);
  });
});
