import { createBrowserRouter, type RouteObject } from 'react-router';
import { alerts } from '../modules/alerts';
import { audit } from '../modules/audit';
import { clients } from '../modules/clients';
import { images } from '../modules/images';
import { local } from '../modules/local';
import { overview } from '../modules/overview';
import { plan } from '../modules/plan';
import { reports } from '../modules/reports';
import { settings } from '../modules/settings';
import { workspaces } from '../modules/workspaces';
import { basePath } from './base';
import type { Module } from './modules';
import { NotFound } from './NotFound';
import { PageFault } from './PageFault';
import { Shell } from './Shell';

/** The modules, in the order of the navigation. */
export const modules: Module[] = [overview, workspaces, images, local, clients, reports, alerts, plan, audit, settings];

const pages: RouteObject[] = modules.map((m) => ({ path: m.path, children: m.routes, errorElement: <PageFault /> }));

const Nothing = () => null;

export const router = createBrowserRouter(
  [
    {
      element: <Shell modules={modules} />,
      errorElement: <PageFault />,
      // What a first page needs is on its way: the frame of the page is there by then.
      HydrateFallback: Nothing,
      children: [...pages, { path: '*', element: <NotFound /> }],
    },
  ],
  { basename: basePath() },
);
