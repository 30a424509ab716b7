import { Label, LabelGroup } from '@patternfly/react-core';
import { UserIcon } from '@patternfly/react-icons/dist/esm/icons/user-icon';
import { oncePerOperator } from './presence';
import type { Present } from './notices';

/** Who else has this page on the screen, and who of them edits. */
export function Others({ present }: { present: Present[] }) {
  const others = oncePerOperator(present);
  return (
    <div role="status">
      {others.length > 0 && (
        <LabelGroup numLabels={5} aria-label="Who else is here">
          {others.map((p) => (
            <Label key={p.principal} icon={<UserIcon />} color={p.editing ? 'orange' : 'blue'} textMaxWidth="16rem">
              <span className="dormer-name">{p.who}</span> {p.editing ? 'is editing this too' : 'looks at this too'}
            </Label>
          ))}
        </LabelGroup>
      )}
    </div>
  );
}
