import { beforeEach, describe, expect, it, vi } from 'vitest';

/** As when the page is loaded again. */
const loaded = () => import('./drafts');

describe('plans in this browser', () => {
  beforeEach(() => {
    localStorage.clear();
    vi.resetModules();
  });
  it('begin with a small one', async () => {
    const { blankOrganization, drafts } = await loaded();
    expect(drafts.get('any').organization).toEqual(blankOrganization());
  });

  it('are kept for whom they are of, with a text that is no document', async () => {
    const { draftKey, drafts, keep, plans } = await loaded();
    const entered = {
      organization: { kind: 'Organization', metadata: { name: 'Mine' } },
      text: { text: 'a: [', line: 1, message: 'no end' },
    };
    drafts.set(draftKey('local/alice'), entered);
    keep('plans', 'A', { a: 1 });
    expect(keep('plans', 'B', { b: 1 })).toEqual({ A: { a: 1 }, B: { b: 1 } });
    keep('plans', 'A', undefined);
    expect(plans.get('plans')).toEqual({ B: { b: 1 } });

    vi.resetModules();
    const again = await loaded();
    expect(again.drafts).not.toBe(drafts);
    expect(again.drafts.get(draftKey('local/alice'))).toEqual(entered);
    expect(again.drafts.get(draftKey('local/bob')).organization).toEqual(again.blankOrganization());
    expect(again.plans.get('plans')).toEqual({ B: { b: 1 } });
  });

  it('begin anew where what was kept is not whole', async () => {
    const { blankOrganization, drafts } = await loaded();
    for (const text of ['{"kind"', '{"organization": 7}', 'null']) {
      localStorage.setItem(text, text);
      expect(drafts.get(text)).toEqual({ organization: blankOrganization() });
    }
  });
});

describe('a file', () => {
  it('is YAML or JSON', async () => {
    const { opened } = await import('./drafts');
    expect(opened('kind: Organization\nmetadata: {name: x}')).toEqual({
      organization: { kind: 'Organization', metadata: { name: 'x' } },
    });
    expect(opened('{"kind": "Organization"}')).toEqual({ organization: { kind: 'Organization' } });
  });

  it('of another kind is refused', async () => {
    const { opened } = await import('./drafts');
    expect(opened('kind: Workspace')).toHaveProperty('problem');
    expect(opened('a: [')).toHaveProperty('problem');
  });
});
