import type { Schemas } from '../../api/client';
import { plural } from '../../components/format';

/** How many of a list of open alerts are of which severity, in words. */
export function openBySeverity(alerts: Pick<Schemas['Alert'], 'severity' | 'acknowledged'>[]): string {
  if (alerts.length === 0) return 'Nothing needs somebody';
  const of = (severity: string) => alerts.filter((a) => a.severity === severity).length;
  const untouched = alerts.filter((a) => a.acknowledged === undefined).length;
  const parts = [
    of('error') > 0 ? plural(of('error'), 'error') : '',
    of('warning') > 0 ? plural(of('warning'), 'warning') : '',
  ];
  return `${parts.filter((p) => p !== '').join(', ')}; ${untouched} that nobody looks after`;
}

/** How many parts of the server are not well, in words. */
export function partsToLookAt(parts: Pick<Schemas['HealthPart'], 'status'>[]): string {
  const bad = parts.filter((p) => p.status !== 'ok').length;
  return bad === 0 ? `All ${parts.length} parts are well` : `${bad} of ${parts.length} parts to look at`;
}

/** The sum of the counts of a report's groups. */
export const countErrors = (groups: { count?: number | undefined }[]): number =>
  groups.reduce((sum, g) => sum + (g.count ?? 0), 0);

/** What a new instance needs before people can work with it, in order. */
export interface Step {
  done: boolean;
  title: string;
  says: string;
  to: string;
  link: string;
}

/** The steps, by what is there already. */
export const steps = (there: {
  publishers: number;
  images: number;
  workspaces: number;
  joined: number;
  tokens: number;
}): Step[] => [
  {
    done: there.publishers > 0,
    title: 'Say whose images are trusted',
    says: 'Images are signed: "dormer publisher create NAME" makes your key and has this server trust it.',
    to: '/settings/publishers',
    link: 'Publishers',
  },
  {
    done: there.images > 0,
    title: 'Pack and upload an image',
    says: 'On your own computer, with "dormer console" or "dormer image pack" and "dormer image push".',
    to: '/images',
    link: 'Images',
  },
  {
    done: there.workspaces > 0,
    title: 'Describe a workspace and grant it',
    says: 'What a machine made from the image may do, and who gets it.',
    to: '/workspaces',
    link: 'Workspaces',
  },
  {
    done: there.joined > 0 || there.tokens > 0,
    title: 'Make a join token',
    says: 'It admits computers as clients.',
    to: '/settings/join-tokens',
    link: 'Join tokens',
  },
  {
    done: there.joined > 0,
    title: 'Enrol the first client',
    says: 'On the computer, with "dormer enrol" and the join token.',
    to: '/clients',
    link: 'Clients',
  },
];
