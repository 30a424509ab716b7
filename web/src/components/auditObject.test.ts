import { describe, expect, it } from 'vitest';
import { objectOf } from './auditObject';

describe('the object of a record', () => {
  it('leads to its page by identity', () => {
    expect(objectOf('workspace.commit', 'Office (2024) (abc123)')).toEqual({
      name: 'Office (2024)',
      page: '/workspaces/abc123',
    });
  });

  it('may be somebody of a directory', () => {
    expect(objectOf('operator.set', 'alice (local/nzpov7)')).toEqual({ name: 'alice', page: '/settings/operators' });
  });

  it('leads nowhere when it is gone', () => {
    expect(objectOf('workspace.delete', 'Office (abc123)')).toEqual({ name: 'Office', page: undefined });
  });

  it('is shown as it is when it has no identity', () => {
    expect(objectOf('report.save', 'Weekly (all)')).toEqual({ name: 'Weekly (all)', page: undefined });
    expect(objectOf('image.commit', 'office-desktop/2').page).toBe('/images/office-desktop');
    expect(objectOf('image.push', 'office-desktop')).toEqual({
      name: 'office-desktop',
      page: '/images/office-desktop',
    });
  });
});
