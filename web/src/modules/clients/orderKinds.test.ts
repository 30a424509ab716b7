import { expect, it } from 'vitest';
import { graces, kinds, newOrder, orderName, orders } from './orderKinds';

it('sends a grace only where there is one to give', () => {
  expect(newOrder({ kind: 'stop', reason: ' maintenance ', grace: '5' })).toEqual({
    kind: 'stop',
    reason: 'maintenance',
    grace_seconds: 300,
  });
  expect(newOrder({ kind: 'delete', machine: 'm', reason: 'left', grace: '', confirm: true })).toEqual({
    kind: 'delete',
    reason: 'left',
    machine: 'm',
    confirm: true,
  });
  expect(newOrder({ kind: 'lock', reason: 'x', grace: '5' })).toEqual({ kind: 'lock', reason: 'x' });
  expect(newOrder({ kind: 'stop', reason: 'x', grace: '0' }).grace_seconds).toBe(0);
});

it('asks by name before anything is gone for good, and for a reason that the user is shown', () => {
  expect(kinds.filter((k) => orders[k].destroys)).toEqual(['reset', 'delete']);
  expect(kinds.filter((k) => orders[k].destroys && !orders[k].reason)).toEqual([]);
  expect(graces.every((g) => Number(g.value) * 60 <= 24 * 3600)).toBe(true);
});

it('shows orders that it does not know as they are', () => {
  expect([orderName('stop'), orderName('sing')]).toEqual(['Stop', 'sing']);
});
