import { act, renderHook } from '@testing-library/react';
import { expect, it } from 'vitest';
import { concerns, remark } from './concerning';
import { follow, useFollowed } from './followed';
import type { Notice } from './notices';
import { doneWith } from './words';

it('follows a thing until something is entered, and loses nothing then', () => {
  const begun = { base: 'a', entered: 'a' };
  expect(follow(begun, 'a')).toBe(begun);
  expect(follow(begun, 'b')).toEqual({ base: 'b', entered: 'b' });
  const edited = { base: 'a', entered: 'mine' };
  expect(follow(edited, 'b')).toBe(edited);
  expect(follow(edited, 'mine')).toEqual({ base: 'mine', entered: 'mine' });
});

it('keeps what was entered beside what somebody else saved, until that is taken', () => {
  const { result, rerender } = renderHook(({ now }) => useFollowed(now), { initialProps: { now: { text: 'a' } } });
  rerender({ now: { text: 'b' } });
  expect(result.current).toMatchObject({ entered: { text: 'b' }, isOld: false });
  act(() => result.current.enter({ text: 'mine' }));
  rerender({ now: { text: 'c' } });
  expect(result.current).toMatchObject({ entered: { text: 'mine' }, isOld: true });
  act(() => result.current.take());
  expect(result.current).toMatchObject({ entered: { text: 'c' }, isOld: false });
});

const notice = (action: string, of: Partial<Notice>): Notice => ({
  id: 1,
  time: '2026-11-22T12:00:00Z',
  who: 'dana',
  action,
  kind: action.slice(0, action.indexOf('.')),
  ...of,
});

it.each([
  ['client.order', { object: 'c1', name: 'desk' }, 'client', 'c1', true],
  ['client.order', { object: 'c2', name: 'desk' }, 'client', 'c1', false],
  ['user.change', { object: 'c1' }, 'client', 'c1', false],
  ['alert-rule.set', { name: 'answers refused' }, 'alert-rule', 'answers refused', true],
  ['image.commit', { name: 'office/3' }, 'image', 'office', true],
  ['image.delete', { name: 'office' }, 'image', 'office', true],
  ['image.delete', { name: 'office-2/3' }, 'image', 'office', false],
  ['image.delete', { name: 'office/3/4' }, 'image', 'office', false],
  ['image.push', { name: 'office' }, 'image', 'office', false],
] as const)('%s of %j is about %s %s: %s', (action, of, kind, id, about) => {
  expect(concerns(notice(action, of), kind, id)).toBe(about);
});

it('is told in words', () => {
  expect(doneWith('image.commit')).toBe('uploaded a version of');
  expect(doneWith('workspace.commit')).toBe('committed a change of');
  expect(doneWith('client.unheard-of')).toBe('changed');
  expect(remark(notice('image.commit', { name: 'office/3', detail: 'abcdef' }))).toBe('office/3');
  expect(remark(notice('image.delete', { name: 'office', detail: 'all 3 versions' }))).toBe('');
  expect(remark(notice('client.order', { detail: 'stop: asked for by phone' }))).toBe('stop: asked for by phone');
});
