import { expect, it } from 'vitest';
import { EventReader } from './events';

const text =
  'retry: 1000\n\n: still here\n\nid: 7\nevent: change\ndata: {"who":"a: b"}\n\nevent: present\ndata: []\n\n';
const events = [
  { name: 'change', id: '7', data: '{"who":"a: b"}' },
  { name: 'present', id: '7', data: '[]' },
];

it('reads events, however the text is cut', () => {
  expect(new EventReader().take(text)).toEqual(events);
  const reader = new EventReader();
  expect([...text].flatMap((c) => reader.take(c))).toEqual(events);
});

it('joins the lines of data, and takes any end of a line', () => {
  expect(new EventReader().take('data: a\r\ndata:b\r\n\r\n')).toEqual([{ name: 'message', id: '', data: 'a\nb' }]);
});

it('gives up on what has no end', () => {
  const reader = new EventReader();
  expect(() => reader.take('x'.repeat(5 << 20))).toThrow('no end');
});
