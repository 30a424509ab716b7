import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Json } from '../document/json';
import { mebibytes, split } from './quantity';
import { blank, explanations, isRequired, kindOf, leaves, schemaAt, unknown, type Schema } from './schema';

const read = (path: string): Schema => JSON.parse(readFileSync(`../internal/${path}`, 'utf8')) as Schema;
const workspace = read('policy/schema/workspace.schema.json');
const organization = read('plan/organization/schema/organization.schema.json');

const at = (root: Schema, path: string): Schema => {
  const schema = schemaAt(root, path);
  if (!schema) throw new Error(`no ${path}`);
  return schema;
};

describe('a schema', () => {
  test('is found by path', () => {
    expect(at(workspace, 'spec.machine.image.name').description).toBe('Name of the image.');
    expect(at(workspace, 'grants[].enabled').default).toBe(true);
    expect(at(workspace, 'grants[7].enabled').default).toBe(true);
    expect(schemaAt(workspace, 'spec.nothing')).toBeUndefined();
    expect(isRequired(workspace, 'spec.machine.image.name')).toBe(true);
    expect(isRequired(workspace, 'grants[2].enabled')).toBe(false);
    expect(isRequired(workspace, 'metadata')).toBe(true);
  });

  test.each([
    ['spec.general.display', 'choice'],
    ['spec.general.frame.color', 'color'],
    ['spec.general.hostCommand.timeout', 'duration'],
    ['spec.machine.dataDisk.size', 'size'],
    ['spec.machine.guestUpdates.from', 'time'],
    ['spec.machine.image.version', 'integer'],
    ['grants[].expires', 'date'],
    ['grants[].usb', 'choices'],
    ['grants[].sharedFolders', 'list'],
    ['spec.network.adapters', 'texts'],
    ['spec.applications.networkDrives[].letter', 'text'],
    ['spec.setup.actions[].restart', 'object'],
    ['spec.setup.actions[].joinDomain.passwordSecret', 'text'],
    ['kind', 'constant'],
  ])('of %s asks for a %s', (path, kind) => {
    expect(kindOf(at(workspace, path))).toBe(kind);
  });

  test.each([
    ['spec.links[].bandwidth', 'rate'],
    ['spec.links[].latency', 'latency'],
    ['spec.growth.yearly', 'share'],
    ['spec.workspaces[].offline', 'text'],
    ['spec.sites[].country', 'text'],
    ['spec.events.keep', 'duration'],
    ['spec.capacity.memory', 'size'],
  ])('of the planner asks at %s for a %s', (path, kind) => {
    expect(kindOf(at(organization, path))).toBe(kind);
  });

  test('speaks of no field by its name in documents: people know the labels', () => {
    const texts = (schema: Schema): string[] => [
      schema.description ?? '',
      schema['x-default'] ?? '',
      ...Object.values(schema.properties ?? {}).flatMap(texts),
      ...(schema.items ? texts(schema.items) : []),
    ];
    const named =
      /\b[a-z]+[A-Z][a-z]|\b(?:spec|grants|general|machine|applications|web|setup|network|performance|service)\.[a-z]/u;
    expect([workspace, organization].flatMap(texts).filter((text) => named.test(text))).toEqual([]);
  });

  test('has no value without a control', () => {
    for (const root of [workspace, organization]) {
      expect(leaves(root).filter((p) => ['free', 'list'].includes(kindOf(at(root, p))))).toEqual([]);
    }
  });

  test('tells members that it does not know', () => {
    const document: Json = {
      spec: { machine: { image: { name: 'a', future: 1 } }, new: {} },
      grants: [{}, { odd: true }],
    };
    expect(unknown(workspace, document)).toEqual(['spec.machine.image.future', 'spec.new', 'grants[1].odd']);
  });

  test('gives a new item what it must have', () => {
    expect(blank(at(workspace, 'grants[]'))).toEqual({ principal: { kind: 'user', name: '' } });
    expect(blank(at(workspace, 'spec.web.rules[]'))).toEqual({ open: 'guest' });
  });
});

const of = (path: string) => {
  const schema = at(workspace, path);
  return explanations(schema.description ?? '', schema.enum ?? []);
};

describe('explanations', () => {
  test('are read from a description', () => {
    expect(of('grants[].atLimit.action').of).toEqual({
      'refuse-start': 'a running workspace goes on, but does not start again',
      lock: '',
      stop: 'after the period of grace',
      delete: 'like stop, and then the machine is deleted',
    });
    expect(of('spec.machine.updates.mode').of).toEqual({
      suggest: 'the user chooses the moment',
      force: 'at the next start',
      hold: 'stays at the version that is set for the image until that is changed',
    });
  });
  test('leave what is about all values', () => {
    expect(of('spec.machine.onMissing').general).toMatch(/^What happens when the host cannot give/);
    expect(of('spec.machine.onMissing').of['refuse']).toBe('it does not start');
    expect(of('grants[].clipboard')).toEqual({ of: {}, general: 'Which way the clipboard is shared.' });
  });
});

test('values with a unit are split', () => {
  expect(split('8h')).toEqual({ number: '8', unit: 'h' });
  expect(split('2.5Gbit/s')).toEqual({ number: '2.5', unit: 'Gbit/s' });
  expect(split('50%')).toEqual({ number: '50', unit: '%' });
  expect(split('1h30m')).toBeUndefined();
  expect(mebibytes('2GiB')).toBe(2048);
  expect(mebibytes('many')).toBeUndefined();
});
