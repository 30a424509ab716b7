import type { ComponentType } from 'react';
import type { RouteObject } from 'react-router';

/** One module of the console: an entry of the navigation and the pages below its path. */
export interface Module {
  /** First part of the path; empty: the page one comes to first. */
  path: string;
  /** As the navigation names it. */
  name: string;
  /** What stands beside the name in the navigation, as how many alerts are open. */
  Mark?: ComponentType;
  /** Only under `dormer console`. */
  local?: boolean;
  /** The pages, relative to path. They load when somebody goes there. */
  routes: RouteObject[];
}
