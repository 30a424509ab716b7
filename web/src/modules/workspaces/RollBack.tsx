import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { FormDialog } from '../../components/FormDialog';
import { TextField } from '../../components/inputs';
import { Loaded } from '../../components/Loaded';
import { useMessages } from '../../components/messages';
import { changes } from '../../document/difference';
import { ChangeList } from './ChangeList';
import { commit, load, type Held } from './calls';

interface Props {
  id: string;
  number: number;
  current: Held;
  onClose: () => void;
}

/** Asks before an earlier revision is committed anew. Nothing of the history is lost by it. */
export function RollBack({ id, number, current, onClose }: Props) {
  const queries = useQueryClient();
  const say = useMessages();
  const [message, setMessage] = useState(`Roll back to revision ${number}`);
  const query = useQuery({
    queryKey: ['workspace', id, 'revision', number],
    queryFn: () => load(id, number),
    staleTime: Infinity,
  });
  const act = async () => {
    if (!query.data) return;
    const made = await commit(id, query.data.document, current.tag, message);
    await queries.invalidateQueries({ queryKey: ['workspace'] });
    say.done(`Revision ${made.revision} is as revision ${number} was`);
  };
  return (
    <FormDialog
      title={`Roll back to revision ${number}?`}
      says="It becomes a new revision; the ones between stay in the history."
      verb="Roll back"
      act={act}
      onClose={onClose}
      not={query.data ? undefined : 'The revision is loading.'}
    >
      <Loaded query={query} what="revision">
        {(old) => (
          <ChangeList
            changes={changes(current.document, old.document)}
            before={current.document}
            after={old.document}
          />
        )}
      </Loaded>
      <TextField label="Message" path="message" value={message} onChange={setMessage} autoComplete="off" />
    </FormDialog>
  );
}
