import { FormSection, HelperText, HelperTextItem } from '@patternfly/react-core';
import type { ReactNode } from 'react';
import { isBelow, valueAt } from '../document/paths';
import { useForm } from './form';

interface SectionProps {
  title: string;
  /** A sentence below the title. */
  says?: ReactNode;
  children: ReactNode;
}

/** Fields that belong together, below a heading. */
export function Section({ title, says, children }: SectionProps) {
  return (
    <FormSection title={title} titleElement="h2">
      {says !== undefined && (
        <HelperText>
          <HelperTextItem>{says}</HelperTextItem>
        </HelperText>
      )}
      {children}
    </FormSection>
  );
}

/** Fields beside each other where there is room, below each other where there is none. */
export function Fields({ children }: { children: ReactNode }) {
  return (
    <div
      style={{
        display: 'grid',
        gap: 'var(--pf-t--global--spacer--lg)',
        gridTemplateColumns: 'repeat(auto-fill, minmax(min(100%, 22rem), 1fr))',
        alignItems: 'start',
      }}
    >
      {children}
    </div>
  );
}

interface WhenProps {
  /** Whether the fields have a meaning now. */
  is: boolean;
  /** Paths of the fields. */
  paths: string[];
  /** Why they have none now. */
  otherwise: string;
  children: ReactNode;
}

/**
 * Fields that mean something only sometimes. They stay on the screen while the
 * document has something in them or something is wrong with them.
 */
export function When({ is, paths, otherwise, children }: WhenProps) {
  const { document, errors, warnings } = useForm();
  const used =
    paths.some((p) => valueAt(document, p) !== undefined) ||
    [...errors, ...warnings].some((f) => paths.some((p) => isBelow(f.path, p)));
  if (is) return <>{children}</>;
  return (
    <>
      <HelperText>
        <HelperTextItem variant="indeterminate">{otherwise}</HelperTextItem>
      </HelperText>
      {used && children}
    </>
  );
}
