import { DropdownItem } from '@patternfly/react-core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { asProblem } from '../../api/problem';
import { Menu } from '../../components/Menu';
import { useMessages } from '../../components/messages';
import { local } from './api';
import { ExtractImage } from './ExtractImage';
import { verbs } from './progress';

/** What this computer can do with a version that the server has: read all of it, keep it, make a disk of it. */
export function Fetch({ image, version }: { image: string; version: number }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const say = useMessages();
  const [extracting, setExtracting] = useState(false);
  const begin = async (kind: 'download' | 'verify') => {
    try {
      await local.POST('/jobs', { body: { kind, name: image, version } });
      await queries.invalidateQueries({ queryKey: ['local-job'] });
      void navigate('/local?tab=jobs');
    } catch (thrown) {
      say.failed(`${verbs[kind]} ${image}/${version}: could not be begun`, asProblem(thrown));
    }
  };
  return (
    <>
      <Menu label="On this computer">
        <DropdownItem description="A disk file, for a test or another program" onClick={() => setExtracting(true)}>
          Extract…
        </DropdownItem>
        <DropdownItem
          description="Its objects, checked, into the store of this computer"
          onClick={() => void begin('download')}
        >
          Download
        </DropdownItem>
        <DropdownItem
          description="Every byte that the server has of it is read and checked"
          onClick={() => void begin('verify')}
        >
          Verify
        </DropdownItem>
      </Menu>
      {extracting && <ExtractImage image={image} version={version} onClose={() => setExtracting(false)} />}
    </>
  );
}
