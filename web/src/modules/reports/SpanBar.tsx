import { Toolbar, ToolbarContent, ToolbarItem } from '@patternfly/react-core';
import type { ReactNode } from 'react';
import { SpanSelect } from './SpanSelect';

/** What stands above the charts of some days: how many days back they look, and what else is chosen. */
export function SpanBar({ children }: { children?: ReactNode }) {
  return (
    <Toolbar>
      <ToolbarContent>
        <ToolbarItem>
          <SpanSelect />
        </ToolbarItem>
        {children}
      </ToolbarContent>
    </Toolbar>
  );
}
