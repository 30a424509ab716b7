import type { Schemas } from '../../api/client';
import { plural } from '../../components/format';

type Client = Schemas['Client'];
type Machine = Schemas['Machine'];

/** How a client is, in words, and how serious that is. */
export function stateOf(c: Client): { text: string; status?: 'success' | 'warning' | 'danger' } {
  if (c.revoked !== undefined) return { text: 'Revoked' };
  if (c.online) return { text: 'On-line', status: 'success' };
  if (c.beyond_limit === true) return { text: 'Off-line beyond limit', status: 'danger' };
  return { text: c.last_seen === undefined ? 'Never seen' : 'Off-line', status: 'warning' };
}

/** By how much a clock may be off without being told of, in seconds; as the command line has it. */
const clockRight = 120;

const longs: [number, string][] = [
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
];

/** A length of time as people say it: 3 days, 90 minutes. */
export function lasting(seconds: number): string {
  const whole = Math.abs(Math.round(seconds));
  const unit = longs.find(([length]) => whole >= 2 * length) ?? [1, 'second'];
  return plural(Math.round(whole / unit[0]), unit[1]);
}

/** How wrong a client's clock is; undefined: it is right, or not known. */
export function clockOf(c: Client): string | undefined {
  const ahead = c.clock_ahead_seconds;
  if (ahead === undefined || Math.abs(ahead) <= clockRight) return undefined;
  return `${lasting(ahead)} ${ahead > 0 ? 'ahead of' : 'behind'} the server's`;
}

/**
 * Until when a machine may run without the server. Its lease is renewed while
 * the client is on-line, so it counts from when it was last seen; undefined:
 * without a limit, or nothing is known.
 */
export function offlineUntil(c: Client, m: Machine): string | undefined {
  if (c.last_seen === undefined || m.offline_budget_seconds === undefined) return undefined;
  const until = new Date(c.last_seen).getTime() + m.offline_budget_seconds * 1000;
  return Number.isNaN(new Date(until).getTime()) ? undefined : new Date(until).toISOString();
}
