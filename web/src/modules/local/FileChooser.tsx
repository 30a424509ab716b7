import { Content, FormGroup, Menu, MenuContent, MenuItem, MenuList } from '@patternfly/react-core';
import { FileIcon } from '@patternfly/react-icons/dist/esm/icons/file-icon';
import { FolderIcon } from '@patternfly/react-icons/dist/esm/icons/folder-icon';
import { LevelUpAltIcon } from '@patternfly/react-icons/dist/esm/icons/level-up-alt-icon';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Loaded } from '../../components/Loaded';
import { bytes } from '../../components/format';
import { folderQuery } from './api';

/** Lets people choose a disk file among those of this computer. */
export function FileChooser({ onChoose }: { onChoose: (path: string) => void }) {
  const [path, setPath] = useState<string>();
  const query = useQuery(folderQuery(path));
  return (
    <Loaded query={query} what="files">
      {(folder) => (
        <FormGroup label="Files of this computer" role="group">
          <Content component="p" className="dormer-name">
            In <code>{folder.path}</code>
          </Content>
          <Menu aria-label="Files of this computer" isScrollable isPlain>
            <MenuContent maxMenuHeight="14rem">
              <MenuList>
                {folder.parent !== undefined && (
                  <MenuItem itemId={folder.parent} icon={<LevelUpAltIcon />} onClick={() => setPath(folder.parent)}>
                    The folder above
                  </MenuItem>
                )}
                {(folder.entries ?? []).map((e) => (
                  <MenuItem
                    key={e.path}
                    itemId={e.path}
                    icon={e.folder ? <FolderIcon aria-label="Folder" /> : <FileIcon aria-label="File" />}
                    description={e.folder ? undefined : bytes(e.size ?? 0)}
                    onClick={() => {
                      if (e.folder) setPath(e.path);
                      else onChoose(e.path);
                    }}
                  >
                    <span className="dormer-name">{e.name}</span>
                  </MenuItem>
                ))}
              </MenuList>
            </MenuContent>
          </Menu>
          {(folder.entries ?? []).length === 0 && (
            <Content component="small">Here are no folders and no disk files.</Content>
          )}
          {folder.more && <Content component="small">There are more: type the path below.</Content>}
        </FormGroup>
      )}
    </Loaded>
  );
}
