import { Divider, DropdownItem } from '@patternfly/react-core';
import { memo, useState } from 'react';
import { saveFile } from '../../app/saveFile';
import { Menu } from '../../components/Menu';
import { useMessages } from '../../components/messages';
import { useReadOnly } from '../../session/session';
import { exported, fileName } from './calls';
import { CloneDialog, DeleteDialog, RenameDialog, type Named } from './dialogs';

interface Props extends Named {
  dirty: boolean;
  onDeleted: () => void;
}

/** What is done with a workspace as a whole. */
export const WorkspaceActions = memo(function WorkspaceActions({ id, name, etag, dirty, onDeleted }: Props) {
  const workspace: Named = { id, name, etag };
  const [asked, setAsked] = useState<'clone' | 'rename' | 'delete'>();
  const say = useMessages();
  const readOnly = useReadOnly();
  const not = readOnly ?? (dirty ? 'Commit or discard your changes first.' : undefined);
  const save = async () => {
    try {
      saveFile(fileName(workspace.name), new Blob([await exported(workspace.id)], { type: 'application/yaml' }));
    } catch (thrown) {
      say.failed(`${workspace.name} is not exported`, thrown);
    }
  };
  const close = () => setAsked(undefined);
  return (
    <>
      <Menu label="Actions" variant="secondary">
        {item('Export', undefined, () => void save())}
        {item('Clone', not, () => setAsked('clone'))}
        {item('Rename', not, () => setAsked('rename'))}
        <Divider component="li" />
        {item('Delete', readOnly, () => setAsked('delete'))}
      </Menu>
      {asked === 'clone' && <CloneDialog workspace={workspace} onClose={close} />}
      {asked === 'rename' && <RenameDialog workspace={workspace} onClose={close} />}
      {asked === 'delete' && <DeleteDialog workspace={workspace} onClose={close} onDeleted={onDeleted} />}
    </>
  );
});

/** One entry of the menu, which says why it cannot be chosen. */
const item = (title: string, why: string | undefined, onClick: () => void) => (
  <DropdownItem
    isAriaDisabled={why !== undefined}
    {...(why !== undefined && { tooltipProps: { content: why } })}
    onClick={onClick}
  >
    {title}
  </DropdownItem>
);
