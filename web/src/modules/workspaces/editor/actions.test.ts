import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { schemaAt, type Schema } from '../../../form/schema';
import { actionKinds, actionName, actionSummary, restarts } from './actions';

test('every kind of action of the document is offered', () => {
  const root = JSON.parse(readFileSync('../internal/policy/schema/workspace.schema.json', 'utf8')) as Schema;
  const members = Object.keys(schemaAt(root, 'spec.setup.actions[]')?.properties ?? {});
  expect(actionKinds.map((k) => k.member).toSorted()).toEqual(
    members.filter((m) => m !== 'name' && m !== 'once').toSorted(),
  );
});

test('actions are told in words', () => {
  expect(actionName({ name: 'Greet', runCommand: { path: 'a' } })).toBe('Greet');
  expect(actionName({ restart: {} })).toBe('Restart');
  expect(actionName({ installUpdates: {} })).toBe('Install updates');
  expect(actionSummary({ runCommand: { path: '/bin/echo', arguments: ['a', 'b'] } })).toBe('/bin/echo a b');
  expect(actionSummary({ checkConnectivity: { address: 'dc.corp.example.test', port: 389 } })).toBe(
    'dc.corp.example.test, port 389',
  );
});

test('what restarts the guest is marked', () => {
  expect(restarts({ restart: {} })).toBe(true);
  expect(restarts({ runCommand: { path: 'a', causesRestart: true } })).toBe(true);
  expect(restarts({ runCommand: { path: 'a' } })).toBe(false);
});
