import {
  Dropdown,
  DropdownGroup,
  DropdownItem,
  DropdownList,
  MenuToggle,
  Toolbar,
  ToolbarContent,
  ToolbarGroup,
  ToolbarItem,
} from '@patternfly/react-core';
import { lazy, Suspense, useState } from 'react';
import { useSession } from '../session/session';
import { served } from './base';
import { ZoneChoice } from './ZoneChoice';
import { setTheme, useTheme, type Theme } from './theme';
import { useZone } from './zone';

const ServerButton = lazy(async () => ({ default: (await import('../modules/local/ServerButton')).ServerButton }));

const themes: { theme: Theme; name: string }[] = [
  { theme: 'system', name: 'As the system' },
  { theme: 'light', name: 'Light' },
  { theme: 'dark', name: 'Dark' },
];

/** What is at the right of the masthead: who is signed in, and how things are shown. */
export function Tools() {
  const { session, signOut } = useSession();
  const theme = useTheme();
  const { zone } = useZone();
  const [open, setOpen] = useState(false);
  const [choosing, setChoosing] = useState(false);
  return (
    <Toolbar isStatic>
      <ToolbarContent>
        <ToolbarGroup align={{ default: 'alignEnd' }}>
          {served().local && (
            <ToolbarItem>
              <Suspense fallback={null}>
                <ServerButton />
              </Suspense>
            </ToolbarItem>
          )}
          <ToolbarItem>
            <Dropdown
              isOpen={open}
              onOpenChange={setOpen}
              onSelect={() => setOpen(false)}
              popperProps={{ position: 'right' }}
              toggle={(ref) => (
                <MenuToggle ref={ref} onClick={() => setOpen(!open)} isExpanded={open}>
                  <span className="dormer-name">{session.principal.name}</span>
                  {session.role === 'read-only' ? ' (read-only)' : ''}
                </MenuToggle>
              )}
            >
              <DropdownGroup label="Appearance">
                <DropdownList>
                  {themes.map((t) => (
                    <DropdownItem key={t.theme} isSelected={t.theme === theme} onClick={() => setTheme(t.theme)}>
                      {t.name}
                    </DropdownItem>
                  ))}
                </DropdownList>
              </DropdownGroup>
              <DropdownGroup label="You">
                <DropdownList>
                  <DropdownItem onClick={() => setChoosing(true)}>{`Time zone: ${zone}`}</DropdownItem>
                  <DropdownItem onClick={() => void signOut()}>Sign out</DropdownItem>
                </DropdownList>
              </DropdownGroup>
            </Dropdown>
          </ToolbarItem>
        </ToolbarGroup>
      </ToolbarContent>
      {choosing && <ZoneChoice onClose={() => setChoosing(false)} />}
    </Toolbar>
  );
}
