import { expect, test } from 'vitest';
import { decide, readWeb } from './addresses';

const web = readWeb({
  rules: [
    { domain: 'www.corp.example.test', open: 'host' },
    { domain: 'Corp.example.test', open: 'guest' },
    { prefix: '10.1.0.0/16', open: 'host' },
    { prefix: '10.0.0.0/8', open: 'guest' },
    { prefix: '2001:db8::/32', open: 'guest' },
    { localNames: true, open: 'guest' },
    { open: 'host' },
  ],
  others: 'host',
});

test.each([
  ['https://www.corp.example.test/page?x=1', { open: 'host', rule: 0 }],
  ['corp.example.test', { open: 'guest', rule: 1 }],
  ['WIKI.corp.Example.test.:8443', { open: 'guest', rule: 1 }],
  ['notcorp.example.test', { open: 'host' }],
  ['10.1.2.3', { open: 'host', rule: 2 }],
  ['http://10.200.2.3:80/', { open: 'guest', rule: 3 }],
  ['110.1.2.3', { open: 'host' }],
  ['2001:db8::1', { open: 'guest', rule: 4 }],
  ['http://[2001:db9::1]/', { open: 'host' }],
  ['intranet/', { open: 'guest', rule: 5 }],
  ['https://user@elsewhere.example.com', { open: 'host' }],
])('%s', (address, decision) => {
  expect(decide(web, address)).toEqual(decision);
});

test('an address that is none yet decides nothing', () => {
  expect(decide(web, '  ')).toBeUndefined();
  expect(decide(web, 'http://')).toBeUndefined();
});

test('without rules it is opened where it was asked for', () => {
  expect(decide(readWeb(undefined), 'example.com')).toEqual({ open: 'where-asked' });
});
