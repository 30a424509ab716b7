import { expect, it } from 'vitest';
import { crumbs, plain, words } from './reading';

it('calls members as people do', () => {
  expect(['atLimit', 'usb', 'refuse-start', 'vpnDNS', 'name'].map(words)).toEqual([
    'At limit',
    'USB',
    'Refuse start',
    'VPN DNS',
    'Name',
  ]);
});

it('calls items by what names them', () => {
  const document = {
    grants: [{ principal: { kind: 'user', name: 'alice' }, offline: { budget: '8h' } }],
    spec: { web: { rules: [{ open: 'host' }] } },
  };
  expect(crumbs('grants[0].offline.budget', document)).toEqual(['Grants', 'alice', 'Offline', 'Budget']);
  expect(crumbs('grants[0].principal.name', document)).toEqual(['Grants', 'alice', 'Name']);
  expect(crumbs('spec.web.rules[0].open', document)).toEqual(['Web', 'Rules', 'no. 1', 'Open']);
  expect(crumbs('grants[7]', document)).toEqual(['Grants', 'no. 8']);
});

it('reads values out', () => {
  expect([undefined, true, false, 0, '', '8h', [], ['a', 'b'], {}].map(plain)).toEqual([
    'not set',
    'yes',
    'no',
    '0',
    'empty',
    '8h',
    'none',
    'a, b',
    'present',
  ]);
  expect(plain({ a: 1 })).toBeUndefined();
  expect(plain([{ a: 1 }])).toBeUndefined();
});
