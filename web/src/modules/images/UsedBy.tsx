import { Label, LabelGroup } from '@patternfly/react-core';
import { Link } from 'react-router';
import type { Schemas } from '../../api/client';

interface Props {
  uses: Schemas['ImageUse'][];
  /** Says the version that each uses: where it is not clear from around. */
  withNumber?: boolean;
}

/** Names the workspaces that use an image, each leading to its page. */
export function UsedBy({ uses, withNumber = false }: Props) {
  if (uses.length === 0) return <>no workspace</>;
  return (
    <LabelGroup aria-label="Workspaces" numLabels={3} collapsedText="${remaining} more" expandedText="Fewer">
      {uses.map((u) => (
        <Label
          key={u.workspace}
          variant="outline"
          render={({ className, content }) => (
            <Link className={className} to={`/workspaces/${u.workspace}`}>
              {content}
            </Link>
          )}
        >
          <span className="dormer-name">{u.name}</span>
          {withNumber && ` (${describe(u)})`}
        </Label>
      ))}
    </LabelGroup>
  );
}

const describe = (u: Schemas['ImageUse']): string => {
  if (u.number === 0) return 'a version that is not there';
  return u.pinned ? `version ${u.number}, by number` : `version ${u.number}, the newest`;
};
