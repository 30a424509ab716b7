import type { ComponentType } from 'react';
import { Applications, applicationsPaths } from './Applications';
import { Deployment, deploymentPaths } from './Deployment';
import type { Draft } from './draft';
import { General, generalPaths } from './General';
import { Machine, machinePaths } from './Machine';
import { Network, networkPaths } from './Network';
import { Performance, performancePaths } from './Performance';
import { Setup, setupPaths } from './Setup';
import { Web, webPaths } from './Web';

/** One tab of the editor of workspaces. */
export interface EditorTab {
  /** As it stands in the address of the page. */
  id: string;
  title: string;
  /** Paths of the document that are on it. */
  prefixes: string[];
  Tab: ComponentType<{ ws: Draft }>;
}

/** The tabs of the editor, in order; every field of the document is on one of them. */
export const editorTabs: EditorTab[] = [
  { id: 'general', title: 'General', prefixes: generalPaths, Tab: General },
  { id: 'machine', title: 'Virtual machine', prefixes: machinePaths, Tab: Machine },
  { id: 'deployment', title: 'Deployment', prefixes: deploymentPaths, Tab: Deployment },
  { id: 'applications', title: 'Applications', prefixes: applicationsPaths, Tab: Applications },
  { id: 'web', title: 'Web', prefixes: webPaths, Tab: Web },
  { id: 'setup', title: 'VM setup', prefixes: setupPaths, Tab: Setup },
  { id: 'network', title: 'Network', prefixes: networkPaths, Tab: Network },
  { id: 'performance', title: 'Performance', prefixes: performancePaths, Tab: Performance },
];
