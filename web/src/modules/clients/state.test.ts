import { describe, expect, it } from 'vitest';
import type { Schemas } from '../../api/client';
import { clockOf, lasting, offlineUntil, stateOf } from './state';
import { machineState } from '../../components/machineState';

const client = (more: Partial<Schemas['Client']>): Schemas['Client'] => ({
  id: 'c',
  agent_version: '1',
  enrolled: '2026-11-22T10:00:00Z',
  host: { name: 'pc', os: 'linux', arch: 'amd64', memory_mib: 1, processors: 1 },
  join_token: 't',
  managed: true,
  machines: 0,
  running: 0,
  online: false,
  ...more,
});

const machine = (more: Partial<Schemas['Machine']>): Schemas['Machine'] => ({
  id: 'm',
  client: 'c',
  created: '2026-11-22T10:00:00Z',
  user: { directory: 'local', kind: 'user', key: 'k', name: 'alice' },
  workspace: 'w',
  ...more,
});

describe('state of a client', () => {
  it('is what matters most', () => {
    const seen = '2026-11-22T10:00:00Z';
    expect(stateOf(client({})).text).toBe('Never seen');
    expect(stateOf(client({ last_seen: seen })).text).toBe('Off-line');
    expect(stateOf(client({ last_seen: seen, beyond_limit: true })).status).toBe('danger');
    expect(stateOf(client({ last_seen: seen, online: true })).text).toBe('On-line');
    expect(stateOf(client({ revoked: seen, online: true })).text).toBe('Revoked');
  });

  it('tells of a clock that is wrong', () => {
    expect(clockOf(client({ clock_ahead_seconds: 120 }))).toBeUndefined();
    expect(clockOf(client({}))).toBeUndefined();
    expect(clockOf(client({ clock_ahead_seconds: 7200 }))).toBe("2 hours ahead of the server's");
    expect(clockOf(client({ clock_ahead_seconds: -150 }))).toBe("3 minutes behind the server's");
  });
});

describe('machines', () => {
  it('may run off-line for their budget from when the client was last seen', () => {
    const c = client({ last_seen: '2026-11-22T10:00:00Z' });
    expect(offlineUntil(c, machine({ offline_budget_seconds: 3600 }))).toBe('2026-11-22T11:00:00.000Z');
    expect(offlineUntil(c, machine({}))).toBeUndefined();
    expect(offlineUntil(c, machine({ offline_budget_seconds: Number.MAX_SAFE_INTEGER }))).toBeUndefined();
    expect(offlineUntil(client({}), machine({ offline_budget_seconds: 1 }))).toBeUndefined();
  });

  it('have states that people understand, and new ones are shown as they are', () => {
    expect(machineState('absent')).toBe('Image not there');
    expect(machineState('')).toBe('Not reported yet');
    expect(machineState('dreaming')).toBe('dreaming');
  });
});

it('says how long something lasts', () => {
  expect([lasting(0), lasting(1), lasting(119), lasting(120), lasting(-5400), lasting(200_000)]).toEqual([
    '0 seconds',
    '1 second',
    '119 seconds',
    '2 minutes',
    '90 minutes',
    '2 days',
  ]);
});
