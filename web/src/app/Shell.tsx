import {
  Masthead,
  MastheadBrand,
  MastheadContent,
  MastheadLogo,
  MastheadMain,
  MastheadToggle,
  Nav,
  NavItem,
  NavList,
  Page,
  PageSection,
  PageSidebar,
  PageSidebarBody,
  PageToggleButton,
  SkipToContent,
  Spinner,
} from '@patternfly/react-core';
import { BarsIcon } from '@patternfly/react-icons/dist/esm/icons/bars-icon';
import { Suspense, useEffect, useRef, type ComponentProps } from 'react';
import { Link, NavLink, Outlet, useLocation } from 'react-router';
import { served } from './base';
import { ConnectionBanner } from '../notices/ConnectionBanner';
import type { Module } from './modules';
import { Tools } from './Tools';

const mainID = 'main';

/** The way to the first page. */
const Home = (props: Omit<ComponentProps<typeof Link>, 'to'>) => (
  <Link {...props} to="/" aria-label="Dormer, overview" />
);

/** The frame of every page: masthead, navigation, and the page itself. */
export function Shell({ modules }: { modules: Module[] }) {
  const { pathname } = useLocation();
  const shown = modules.filter((m) => !m.local || served().local);
  const here = pathname.split('/')[1] ?? '';
  const was = useRef(here);
  useEffect(() => {
    // Who cannot see that the page has changed is taken to it.
    if (was.current !== here) document.getElementById(mainID)?.focus();
    was.current = here;
  }, [here]);

  const masthead = (
    <Masthead>
      <MastheadMain>
        <MastheadToggle>
          <PageToggleButton variant="plain" aria-label="Navigation">
            <BarsIcon />
          </PageToggleButton>
        </MastheadToggle>
        <MastheadBrand>
          <MastheadLogo component={Home}>
            <img className="dormer-logo" src={new URL('icon.svg', document.baseURI).href} alt="" />
            <span className="dormer-word">Dormer</span>
          </MastheadLogo>
        </MastheadBrand>
      </MastheadMain>
      <MastheadContent>
        <Tools />
      </MastheadContent>
    </Masthead>
  );
  const sidebar = (
    <PageSidebar>
      <PageSidebarBody>
        <Nav aria-label="Modules">
          <NavList>
            {shown.map((m) => (
              <NavItem key={m.path} isActive={m.path === here}>
                <NavLink to={`/${m.path}`}>
                  {m.name} {m.Mark && <m.Mark />}
                </NavLink>
              </NavItem>
            ))}
          </NavList>
        </Nav>
      </PageSidebarBody>
    </PageSidebar>
  );
  return (
    <Page
      masthead={masthead}
      sidebar={sidebar}
      isManagedSidebar
      mainContainerId={mainID}
      skipToContent={<SkipToContent href={`#${mainID}`}>Skip to the page</SkipToContent>}
    >
      <ConnectionBanner />
      <Suspense
        fallback={
          <PageSection>
            <Spinner aria-label="The page is loading" />
          </PageSection>
        }
      >
        <Outlet />
      </Suspense>
    </Page>
  );
}
