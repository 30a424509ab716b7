import type { CollisionDetection } from '@dnd-kit/core';
import { expect, it } from 'vitest';
import { bar, groupID, headID, nearest, sayings } from './dragging';

type Args = Parameters<CollisionDetection>[0];

const rect = (left: number, width: number) => ({ left, right: left + width, top: 0, bottom: 20, width, height: 20 });

/** The bar with two columns in it, over which something of a chip's size is held. */
function held(left: number, pointerCoordinates: Args['pointerCoordinates']): Args {
  const places: [string, ReturnType<typeof rect>][] = [
    [bar, rect(0, 250)],
    [groupID('user'), rect(0, 100)],
    [groupID('host'), rect(100, 100)],
  ];
  const containers = places.map(([id, r]) => ({
    id,
    key: id,
    data: { current: {} },
    disabled: false,
    node: { current: null },
    rect: { current: r },
  }));
  return {
    active: { id: groupID('user'), data: { current: {} }, rect: { current: { initial: null, translated: null } } },
    collisionRect: rect(left, 100),
    droppableRects: new Map(places),
    droppableContainers: containers,
    pointerCoordinates,
  };
}

const first = (args: Args) => nearest(args)[0]?.id;

it('is over what is nearest when it is dragged by keyboard, and never over the bar around it', () => {
  expect(first(held(0, null))).toBe(groupID('user'));
  expect(first(held(80, null))).toBe(groupID('host'));
});

it('is over what the pointer is in', () => {
  expect(first(held(0, { x: 230, y: 10 }))).toBe(bar);
  expect(first(held(0, { x: 400, y: 10 }))).toBeUndefined();
});

it('says what is dragged where by its title', () => {
  const columns = [{ name: 'user', title: 'User', type: 'text', rank: 1 }];
  const { called, place } = sayings(columns, ['host', 'user']);
  expect(called(headID('user'))).toBe('User');
  expect([headID('user'), groupID('user'), bar].map(place)).toEqual([
    'the head of its column',
    'place 2 of 2 of what the report is grouped by',
    'what the report is grouped by',
  ]);
});
