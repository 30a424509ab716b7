import {
  Breadcrumb,
  BreadcrumbItem,
  Content,
  Flex,
  FlexItem,
  PageBreadcrumb,
  PageSection,
  Title,
} from '@patternfly/react-core';
import type { ReactNode } from 'react';
import { Link } from 'react-router';
import { useTitle } from '../app/theme';

interface Props {
  title: string;
  /** Pages above this one, the module's first. */
  above?: { name: string; to: string }[];
  /** A sentence below the title. */
  says?: ReactNode;
  /** Buttons beside the title. */
  actions?: ReactNode;
  children: ReactNode;
}

/** A page of a module: title, the way back, what can be done, and the page itself. */
export function ModulePage({ title, above = [], says, actions, children }: Props) {
  useTitle(title);
  return (
    <>
      {above.length > 0 && (
        <PageBreadcrumb>
          <Breadcrumb>
            {above.map((a) => (
              <BreadcrumbItem
                key={a.to}
                render={({ className }) => (
                  <Link className={className} to={a.to}>
                    {a.name}
                  </Link>
                )}
              />
            ))}
            <BreadcrumbItem isActive>
              <span className="dormer-name">{title}</span>
            </BreadcrumbItem>
          </Breadcrumb>
        </PageBreadcrumb>
      )}
      <PageSection>
        <Flex justifyContent={{ default: 'justifyContentSpaceBetween' }}>
          <FlexItem>
            <Title headingLevel="h1" className="dormer-name">
              {title}
            </Title>
            {says !== undefined && <Content>{says}</Content>}
          </FlexItem>
          {actions !== undefined && <FlexItem>{actions}</FlexItem>}
        </Flex>
      </PageSection>
      <PageSection isFilled>{children}</PageSection>
    </>
  );
}
