import { describe, expect, it } from 'vitest';
import { doneWith } from './words';

describe('what somebody did', () => {
  it('is said in words', () => {
    expect(doneWith('workspace.commit')).toBe('committed a change of');
    expect(doneWith('client.withdraw-order')).toBe('withdrawn an order to');
  });

  it('is a change when it is not known', () => {
    expect(doneWith('workspace.paint')).toBe('changed');
  });
});
