import { describe, expect, it } from 'vitest';
import { changes } from './difference';
import { canonical } from './identity';
import type { Json } from './json';
import { merge, type Side } from './merge';

const app = (name: string, more: { [k: string]: Json } = {}): Json => ({ name, command: `/usr/bin/${name}`, ...more });
const rule = (domain: string, open = 'host'): Json => ({ domain, open });
const staff = (key: { [k: string]: Json }, more: { [k: string]: Json } = {}): Json => ({
  principal: { kind: 'group', name: 'staff', ...key },
  ...more,
});
const all = (keys: string[], side: Side) => new Map(keys.map((k) => [k, side]));

describe('merge', () => {
  it('takes what only one changed', () => {
    const m = merge({ a: 1, b: 1, c: 1 }, { a: 2, b: 1, c: 1 }, { a: 1, b: 1, d: { e: 4 } });
    expect(m.merged).toEqual({ a: 2, b: 1, d: { e: 4 } });
    expect(m.conflicts).toEqual([]);
    expect(m.mine.map((c) => c.path)).toEqual(['a']);
    expect(m.theirs.map((c) => c.path)).toEqual(['c', 'd.e']);
  });

  it('takes what both changed alike, and what both took away', () => {
    const m = merge({ a: 1, b: 1, apps: [app('x')] }, { a: 2, apps: [] }, { a: 2, apps: [] });
    expect(m).toMatchObject({ merged: { a: 2, apps: [] }, conflicts: [] });
  });

  it('leaves to people what both changed otherwise, mine until they chose', () => {
    const docs: [Json, Json, Json] = [{ a: { b: 1 } }, { a: { b: 2 } }, { a: { b: 3 } }];
    const m = merge(...docs);
    expect(m.conflicts).toEqual([{ key: 'a.b', path: 'a.b', base: 1, mine: 2, theirs: 3 }]);
    expect(m.merged).toEqual({ a: { b: 2 } });
    expect(merge(...docs, all(['a.b'], 'theirs')).merged).toEqual({ a: { b: 3 } });
  });

  it('knows that one took away what the other changed', () => {
    const docs: [Json, Json, Json] = [{ apps: [app('x')] }, { apps: [] }, { apps: [app('x', { enabled: false })] }];
    const m = merge(...docs);
    expect(m.conflicts).toEqual([
      { key: 'apps[name x]', path: 'apps[0]', base: app('x'), theirs: app('x', { enabled: false }) },
    ]);
    expect(m.merged).toEqual({ apps: [] });
    expect(merge(...docs, all(['apps[name x]'], 'theirs')).merged).toEqual({ apps: [app('x', { enabled: false })] });
  });

  it('goes into what one took away as a whole, field by field', () => {
    const m = merge({ web: { x: 1, y: 2 } }, {}, { web: { x: 3, y: 2 } });
    expect(m.conflicts).toEqual([{ key: 'web.x', path: 'web.x', base: 1, theirs: 3 }]);
    expect(m.merged).toEqual({});
  });

  it('goes into items by their names, wherever they are', () => {
    const base = { apps: [app('a'), app('b'), app('c')] };
    const mine = { apps: [app('c', { enabled: false }), app('a'), app('b'), app('m')] };
    const theirs = { apps: [app('a', { shortcut: false }), app('t'), app('c', { description: 'see' })] };
    expect(merge(base, mine, theirs)).toMatchObject({
      merged: {
        apps: [app('c', { enabled: false, description: 'see' }), app('a', { shortcut: false }), app('m'), app('t')],
      },
      conflicts: [],
    });
  });

  it('compares what both added by the same name', () => {
    const m = merge(
      {},
      { apps: [app('x', { shortcut: true })] },
      { apps: [app('x', { shortcut: false, enabled: true })] },
    );
    expect(m.conflicts.map((c) => c.path)).toEqual(['apps[0].shortcut']);
    expect(m.merged).toEqual({ apps: [app('x', { shortcut: true, enabled: true })] });
  });

  it('takes a grant without a key for the same one with it', () => {
    const m = merge({ grants: [] }, { grants: [staff({}, { audio: true })] }, { grants: [staff({ key: 'k' })] });
    expect(m).toMatchObject({ merged: { grants: [staff({ key: 'k' }, { audio: true })] }, conflicts: [] });
  });

  it('asks when both moved items', () => {
    const docs: [Json, Json, Json] = [
      ['a', 'b', 'c'],
      ['b', 'a', 'c'],
      ['c', 'a', 'b'],
    ];
    const m = merge(...docs);
    expect(m.conflicts).toEqual([{ key: '[]', path: '', base: docs[0], mine: docs[1], theirs: docs[2], order: true }]);
    expect(merge(...docs, all(['[]'], 'theirs')).merged).toEqual(docs[2]);
  });

  it('merges rules by their places', () => {
    const base = [rule('a'), rule('b'), rule('c'), rule('d')];
    const mine = [rule('new'), rule('a'), rule('b', 'guest'), rule('c'), rule('d')];
    const theirs = [rule('a'), rule('b'), rule('c', 'guest'), rule('d'), rule('last')];
    expect(merge(base, mine, theirs)).toMatchObject({
      merged: [rule('new'), rule('a'), rule('b', 'guest'), rule('c', 'guest'), rule('d'), rule('last')],
      conflicts: [],
    });
  });

  it('asks which rules when both put some in one place', () => {
    const docs: [Json, Json, Json] = [[rule('a')], [rule('a'), rule('m')], [rule('a'), rule('t'), rule('u')]];
    const m = merge(...docs);
    expect(m.conflicts).toEqual([
      { key: '[@1+]', path: '[1]', base: [], mine: [rule('m')], theirs: [rule('t'), rule('u')], items: true },
    ]);
    expect(merge(...docs, all(['[@1+]'], 'theirs')).merged).toEqual(docs[2]);
    expect(m.merged).toEqual(docs[1]);
  });

  it('asks field by field within one rule', () => {
    const m = merge([rule('a'), rule('b')], [rule('a', 'guest'), rule('b')], [rule('a', 'ask'), rule('b')]);
    expect(m.conflicts.map((c) => c.path)).toEqual(['[0].open']);
  });
});

/** Numbers that look random and are the same each time. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A document of fields, applications and rules; edit changes one of ten places of it. */
function document(roll: (below: number) => number): { [k: string]: Json } {
  const fields = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`f${n}`, roll(3)]));
  const apps = Array.from({ length: 8 }, (_, n) => app(`app${n}`, { n: roll(3) }));
  return { ...fields, spec: { apps, rules: Array.from({ length: 16 }, (_, n) => rule(`d${n}`)) } };
}

function edited(doc: { [k: string]: Json }, places: number[], roll: (below: number) => number): Json {
  const copy = structuredClone(doc);
  const spec = copy['spec'] as { apps: { [k: string]: Json }[]; rules: Json[] };
  for (const n of places.toSorted((a, b) => b - a)) {
    if (n < 6) {
      if (roll(2) === 0) delete copy[`f${n}`];
      else copy[`f${n}`] = `new ${roll(100)}`;
    } else if (n < 14) {
      const i = spec.apps.findIndex((a) => a['name'] === `app${n - 6}`);
      if (roll(2) === 0) spec.apps.splice(i, 1);
      else spec.apps.splice(i, 1, { ...spec.apps[i], command: `new ${roll(100)}` });
    } else {
      // Every second rule, so that there is one between that stays.
      const i = (n - 14) * 2;
      const what = roll(3);
      if (what === 0) spec.rules.splice(i, 1);
      else if (what === 1) spec.rules.splice(i, 1, rule(`d${i}`, `new ${roll(100)}`));
      else spec.rules.splice(i, 0, rule(`new ${roll(100)}`));
    }
  }
  return copy;
}

describe('merge of any documents', { timeout: 60_000 }, () => {
  it('of changes in different places is both of them', () => {
    for (let seed = 1; seed <= 500; seed += 1) {
      const roll = dice(seed);
      const base = document(roll);
      const places = Array.from({ length: 22 }, (_, n) => n).filter(() => roll(2) === 0);
      const whose = places.map(() => roll(2));
      const mine = places.filter((_, i) => whose[i] === 0);
      const theirs = places.filter((_, i) => whose[i] === 1);
      // What is done at a place depends on the place alone.
      const at = (list: number[]) =>
        list.reduce<Json>((doc, n) => edited(doc as typeof base, [n], dice(seed * 100 + n)), base);
      const backwards = (list: number[]) => at(list.toSorted((a, b) => b - a));
      const m = merge(base, backwards(mine), backwards(theirs));
      expect(m.conflicts, `seed ${seed}`).toEqual([]);
      expect(canonical(m.merged), `seed ${seed}`).toBe(canonical(backwards(places)));
    }
  });

  it('with itself, or with what nobody changed, changes nothing; conflicts go either way', () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const roll = dice(seed);
      const base = document(roll);
      const some = () => Array.from({ length: 22 }, (_, n) => n).filter(() => roll(2) === 0);
      const mine = edited(base, some(), roll);
      const theirs = edited(base, some(), roll);
      expect(merge(base, mine, mine)).toMatchObject({ merged: mine, conflicts: [] });
      expect(merge(base, base, theirs)).toMatchObject({ merged: theirs, conflicts: [] });
      expect(merge(base, mine, base)).toMatchObject({ merged: mine, conflicts: [] });
      const here = merge(base, mine, theirs);
      const keys = here.conflicts.map((c) => c.key);
      expect(new Set(keys).size, `seed ${seed}`).toBe(keys.length);
      const there = merge(base, theirs, mine);
      expect(there.conflicts.map((c) => c.key).toSorted()).toEqual(keys.toSorted());
      // Whoever chooses theirs gets what they get who choose mine.
      expect(canonical(merge(base, mine, theirs, all(keys, 'theirs')).merged)).toBe(canonical(there.merged));
    }
  });

  it('leaves no change between equal documents', () => {
    for (let seed = 1; seed <= 300; seed += 1) {
      const roll = dice(seed);
      const base = document(roll);
      const places = Array.from({ length: 22 }, (_, n) => n).filter(() => roll(4) === 0);
      const other = edited(base, places, roll);
      expect(changes(base, other).length === 0, `seed ${seed}`).toBe(canonical(base) === canonical(other));
    }
  });
});
