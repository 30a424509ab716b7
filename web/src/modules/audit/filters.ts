/** What narrows the audit log, as the parameters of the API and of the page's address. */
export const filterNames = ['who', 'action', 'object', 'since', 'until'] as const;

export type FilterName = (typeof filterNames)[number];
export type Filters = Partial<Record<FilterName, string>>;

/** Reads the filters from the address of the page. */
export function filtersOf(search: URLSearchParams): Filters {
  const filters: Filters = {};
  for (const name of filterNames) {
    const value = search.get(name);
    if (value !== null && value !== '') filters[name] = value;
  }
  return filters;
}

/** The address of a file with all records that the filters leave, without the API's own part. */
export function exportPath(filters: Filters, zone: string, format: string): string {
  return `/audit/export?${new URLSearchParams({ ...filters, tz: zone, format }).toString()}`;
}
