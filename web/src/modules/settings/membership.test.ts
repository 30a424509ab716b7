import { describe, expect, it } from 'vitest';
import { groupsWithin, peopleIn } from './membership';

const user = (id: string) => ({ kind: 'user', id });
const group = (id: string, ...members: { kind: string; id: string }[]) => ({ id, name: id, members });
const nested = (id: string) => ({ kind: 'group', id });

const all = [
  group('office', user('ann'), nested('sales'), nested('lab')),
  group('sales', user('ann'), user('bob'), nested('lab')),
  group('lab', user('cleo')),
  group('empty'),
];

describe('groups in groups', () => {
  it('are all that are within, the group itself among them', () => {
    expect([...groupsWithin('office', all)].toSorted()).toEqual(['lab', 'office', 'sales']);
    expect([...groupsWithin('empty', all)]).toEqual(['empty']);
  });

  it('count each of their people once', () => {
    expect(peopleIn('office', all)).toBe(3);
    expect(peopleIn('empty', all)).toBe(0);
  });
});
