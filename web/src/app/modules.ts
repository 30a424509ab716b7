import type { RouteObject } from 'react-router';

/** One module of the console: an entry of the navigation and the pages below its path. */
export interface Module {
  /** First part of the path; empty: the page one comes to first. */
  path: string;
  /** As the navigation names it. */
  name: string;
  /** Only under `dormer console`. */
  local?: boolean;
  /** The pages, relative to path. They load when somebody goes there. */
  routes: RouteObject[];
}
