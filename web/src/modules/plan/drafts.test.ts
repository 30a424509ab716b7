import { beforeEach, describe, expect, it } from 'vitest';
import { blankOrganization, draft, keep, keepDraft, kept, opened } from './drafts';

describe('plans in this browser', () => {
  beforeEach(() => localStorage.clear());

  it('begin with a small one', () => {
    expect(draft()).toEqual(blankOrganization());
  });

  it('are kept', () => {
    keepDraft({ kind: 'Organization', metadata: { name: 'Mine' } });
    expect(draft()['metadata']).toEqual({ name: 'Mine' });
    keep('A', { a: 1 });
    expect(keep('B', { b: 1 })).toEqual({ A: { a: 1 }, B: { b: 1 } });
    keep('A', undefined);
    expect(kept()).toEqual({ B: { b: 1 } });
  });

  it('begin anew where what was kept is not whole', () => {
    localStorage.setItem('dormer.plan', '{"kind"');
    expect(draft()).toEqual(blankOrganization());
  });
});

describe('a file', () => {
  it('is YAML or JSON', () => {
    expect(opened('kind: Organization\nmetadata: {name: x}')).toEqual({
      organization: { kind: 'Organization', metadata: { name: 'x' } },
    });
    expect(opened('{"kind": "Organization"}')).toEqual({ organization: { kind: 'Organization' } });
  });

  it('of another kind is refused', () => {
    expect(opened('kind: Workspace')).toHaveProperty('problem');
    expect(opened('a: [')).toHaveProperty('problem');
  });
});
