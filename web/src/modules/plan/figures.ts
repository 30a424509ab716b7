import type { Schemas } from '../../api/client';
import type { Series } from './charts';

type Instance = Schemas['PlacementInstance'];

/** How many people of each site each instance serves: the sites with most people first, at most so many of them. */
export function bySite(instances: Instance[], most: number): { sites: string[]; series: Series[] } {
  const people = new Map<string, number>();
  for (const i of instances) {
    for (const p of i.parts) people.set(p.site, (people.get(p.site) ?? 0) + p.users);
  }
  const sites = [...people]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([site]) => site);
  const series = instances
    .map((i) => ({
      name: i.name,
      values: sites.map((site) => i.parts.filter((p) => p.site === site).reduce((sum, p) => sum + p.users, 0)),
    }))
    .filter((s) => s.values.some((v) => v > 0));
  return { sites, series };
}
