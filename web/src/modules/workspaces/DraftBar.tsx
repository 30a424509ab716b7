import {
  Alert,
  AlertActionLink,
  Content,
  ExpandableSection,
  Flex,
  FlexItem,
  Stack,
  StackItem,
} from '@patternfly/react-core';
import { useMemo } from 'react';
import type { Schemas } from '../../api/client';
import type { FieldError } from '../../api/problem';
import { ActionButton } from '../../components/ActionButton';
import { ago, plural } from '../../components/format';
import { changes } from '../../document/difference';
import { FaultList } from '../../form/FaultList';
import type { Said } from '../../form/withheld';
import type { Present } from '../../notices/notices';
import { Others } from '../../notices/Others';
import type { Work } from './useDraft';
import type { Validation } from './useValidation';

interface Props {
  work: Work;
  found: Validation;
  /** What of it is said now. */
  said: Said;
  others: Present[];
  /** What somebody else committed over the revision that the edits began with; undefined: nothing. */
  committed?: Schemas['Workspace'] | undefined;
  /** Why nothing can be committed now; undefined: it can. */
  not?: string | undefined;
  onCommit: () => void;
  onCompare: () => void;
  onDiscard: () => void;
  /** Leads to the field of a fault. */
  onFault: (path: string) => void;
}

/** What is changed and not committed, what is wrong with it, and who else is here. */
export function DraftBar({
  work,
  found,
  said,
  others,
  committed,
  not,
  onCommit,
  onCompare,
  onDiscard,
  onFault,
}: Props) {
  const number = useMemo(() => changes(work.base.document, work.document).length, [work.base.document, work.document]);
  const wrong =
    found.errors.length > 0 ? `${plural(found.errors.length, 'field')} must be corrected first.` : undefined;
  const none = work.dirty ? undefined : 'Nothing is changed.';
  return (
    <Stack hasGutter>
      {/* Always there: what comes into it is read out. */}
      <StackItem style={others.length === 0 ? { marginBlockEnd: 0 } : undefined}>
        <Others present={others} />
      </StackItem>
      {committed && (
        <StackItem>
          <Alert
            isInline
            variant="warning"
            title={
              <>
                <span className="dormer-name">{committed.author}</span>
                {` committed revision ${committed.revision} ${ago(committed.time)}`}
              </>
            }
            actionLinks={<AlertActionLink onClick={onCompare}>Compare and take both</AlertActionLink>}
          >
            Your changes began with revision {work.base.revision}.
          </Alert>
        </StackItem>
      )}
      {found.unchecked !== undefined && (
        <StackItem>
          <Alert isInline variant="warning" title="The document could not be checked">
            {found.unchecked}
          </Alert>
        </StackItem>
      )}
      <StackItem>
        <Flex alignItems={{ default: 'alignItemsCenter' }}>
          <FlexItem>
            <ActionButton onClick={onCommit} not={none ?? not ?? wrong}>
              Commit
            </ActionButton>
          </FlexItem>
          <FlexItem>
            <ActionButton variant="secondary" onClick={onDiscard} not={none}>
              Discard
            </ActionButton>
          </FlexItem>
          <FlexItem>
            <Content component="p" aria-live="polite">
              {work.dirty ? `${plural(number, 'change')} not committed` : 'Everything is committed'}
            </Content>
          </FlexItem>
        </Flex>
      </StackItem>
      <Faults faults={said.errors} variant="danger" one="thing is wrong" many="things are wrong" onFault={onFault} />
      <Faults
        faults={said.warnings}
        variant="warning"
        one="thing needs a look"
        many="things need a look"
        onFault={onFault}
      />
    </Stack>
  );
}

interface FaultsProps {
  faults: FieldError[];
  variant: 'danger' | 'warning';
  one: string;
  many: string;
  onFault: (path: string) => void;
}

/** All faults, wherever they are, each leading to its field. */
function Faults({ faults, variant, one, many, onFault }: FaultsProps) {
  if (faults.length === 0) return null;
  return (
    <StackItem>
      <Alert isInline isPlain variant={variant} title={plural(faults.length, one, many)} component="h2">
        <ExpandableSection toggleText={faults.length > 1 ? 'All of them' : 'What it is'} isIndented>
          <FaultList faults={faults} onFault={onFault} />
        </ExpandableSection>
      </Alert>
    </StackItem>
  );
}
