import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { schemaAt, type Schema } from '../../form/schema';
import { columnsOf, groups, ordered, tabOf } from './layout';

const schema = JSON.parse(
  readFileSync('../internal/plan/organization/schema/organization.schema.json', 'utf8'),
) as Schema;

describe('the form of an organization', () => {
  it('has each member of the document on one tab', () => {
    const placed = groups.flatMap((g) => g.members).toSorted();
    expect(placed).toEqual(Object.keys(schemaAt(schema, 'spec')?.properties ?? {}).toSorted());
  });

  it('has each fault on a tab', () => {
    expect(['spec.links[2].bandwidth', 'metadata.name', 'spec.linksomething', ''].map(tabOf)).toEqual([
      'sites',
      'sites',
      'yaml',
      'yaml',
    ]);
  });

  it('begins with what names a thing', () => {
    const links = schemaAt(schema, 'spec.links[]') ?? {};
    expect(
      ordered(links)
        .map(([n]) => n)
        .slice(0, 3),
    ).toEqual(['from', 'to', 'bandwidth']);
    expect(columnsOf(links)).toEqual(['from', 'to']);
  });
});
