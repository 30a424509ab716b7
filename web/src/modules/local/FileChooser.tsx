import { Button, Content, Menu, MenuContent, MenuItem, MenuList } from '@patternfly/react-core';
import { FileIcon } from '@patternfly/react-icons/dist/esm/icons/file-icon';
import { FolderIcon } from '@patternfly/react-icons/dist/esm/icons/folder-icon';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { data } from '../../api/client';
import { Loaded } from '../../components/Loaded';
import { bytes } from '../../components/format';
import { local } from './api';

/** Lets people choose a disk file among those of this computer. */
export function FileChooser({ onChoose }: { onChoose: (path: string) => void }) {
  const [path, setPath] = useState<string>();
  const query = useQuery({
    queryKey: ['local-file', path],
    queryFn: () => data(local.GET('/files', { params: { query: path === undefined ? {} : { path } } })),
  });
  return (
    <Loaded query={query} what="files">
      {(folder) => (
        <>
          <Content component="small" className="dormer-name">
            {folder.path}
          </Content>
          {folder.parent !== undefined && (
            <Button variant="link" isInline onClick={() => setPath(folder.parent)}>
              The folder above
            </Button>
          )}
          <Menu aria-label="Files of this computer" isScrollable>
            <MenuContent maxMenuHeight="14rem">
              <MenuList>
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
        </>
      )}
    </Loaded>
  );
}
