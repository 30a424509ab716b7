import { Title } from '@patternfly/react-core';
import { ThreeWay } from '../../document/ThreeWay';
import type { Held } from './calls';
import type { Work } from './useDraft';

/** What somebody else committed meanwhile. */
export interface Theirs {
  held: Held;
  who: string;
  when: string;
}

interface Props {
  work: Work;
  theirs: Theirs;
  /** Called when the edits go on over what the other committed. */
  onResolved: () => void;
  onCancel: () => void;
}

/** Somebody else committed over what the edits began with: field by field, until one document is made of both. */
export function Conflict({ work, theirs, onResolved, onCancel }: Props) {
  return (
    <>
      <Title headingLevel="h2">Two changes of one workspace</Title>
      <ThreeWay
        base={work.base.document}
        mine={work.document}
        theirs={theirs.held.document}
        who={theirs.who}
        when={theirs.when}
        onResolved={(document) => {
          work.rebase(document, theirs.held);
          onResolved();
        }}
        onCancel={onCancel}
      />
    </>
  );
}
