import { parameters, type Kind, type Query } from './query';

/**
 * The address of a report with its filters: every number in the console leads
 * to its rows by it. `<Link to={reportLink('errors', { client: id, days: 1 })}>`.
 */
export function reportLink(report: Kind, filters: Query = {}): string {
  const asked = parameters(filters).toString();
  return `/reports/${report}${asked === '' ? '' : `?${asked}`}`;
}
