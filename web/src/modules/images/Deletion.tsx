import { Alert, Checkbox, Content, Stack } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, data } from '../../api/client';
import { Confirm } from '../../components/Confirm';
import { Loaded } from '../../components/Loaded';
import { bytes, plural } from '../../components/format';
import { useMessages } from '../../components/messages';
import { numbersText } from './figures';
import { UsedBy } from './UsedBy';

interface Props {
  image: string;
  /** The versions; absent: all, and the image with them. */
  numbers?: number[];
  /** Called when they were deleted. */
  onDone?: () => void;
  onClose: () => void;
}

/** Asks before versions are deleted: says what that frees, and who uses them. */
export function Deletion({ image, numbers, onDone, onClose }: Props) {
  const queries = useQueryClient();
  const say = useMessages();
  const [force, setForce] = useState(false);
  const preview = useQuery({
    queryKey: ['image', image, 'deletion', numbers],
    staleTime: 0,
    queryFn: () =>
      data(
        api.GET('/images/{name}/deletion', {
          params: { path: { name: image }, query: numbers ? { numbers: numbers.join(',') } : {} },
        }),
      ),
  });
  const single = numbers?.length === 1 ? numbers[0] : undefined;
  const what =
    single !== undefined
      ? `${image}/${single}`
      : numbers
        ? `${numbers.length} versions of ${image}`
        : `image ${image} with all versions`;
  const used = preview.data !== undefined && preview.data.used_by.length > 0;
  const act = async () => {
    const query = used && force ? { force: true } : {};
    try {
      if (numbers) {
        for (const number of numbers) {
          await api.DELETE('/images/{name}/{number}', {
            params: { path: { name: image, number: String(number) }, query },
          });
        }
      } else {
        await api.DELETE('/images/{name}', { params: { path: { name: image }, query } });
      }
    } finally {
      // Some of them may be gone even when one was refused.
      void queries.invalidateQueries({ queryKey: ['image'] });
    }
    say.done(`Deleted: ${what}`);
    onDone?.();
  };
  return (
    <Confirm
      title={`Delete ${what}?`}
      verb="Delete"
      name={single === undefined ? image : `${image}/${single}`}
      isBlocked={preview.data === undefined || (used && !force)}
      act={act}
      onClose={onClose}
    >
      <Loaded query={preview} what="consequences">
        {(p) => (
          <Stack hasGutter>
            <Content>
              {numbers && numbers.length > 1 && <p>These go: {numbersText(numbers)}.</p>}
              <p>
                Deleting {p.numbers.length > 1 ? 'them' : 'it'} frees <strong>{bytes(p.frees)}</strong> of the
                repository
                {p.frees === 0 ? ': everything in it is needed by others' : ''}. The space is free some days later, so
                that nothing disappears under a client that fetches it.
              </p>
              {p.machines > 0 && (
                <p>
                  {plural(p.machines, 'machine')} on {plural(p.clients, 'client')} run{p.machines === 1 ? 's' : ''} it
                  and go{p.machines === 1 ? 'es' : ''} on with what is there; on other clients it cannot be fetched any
                  more.
                </p>
              )}
            </Content>
            {p.used_by.length > 0 && (
              <Alert
                isInline
                variant="warning"
                title={`Used by ${plural(p.used_by.length, 'workspace')}: without it no new machine is made there`}
              >
                <UsedBy uses={p.used_by} withNumber={single === undefined} />
                <Checkbox
                  id="deletion-force"
                  label="Delete it although it is used"
                  isChecked={force}
                  onChange={(_, checked) => setForce(checked)}
                />
              </Alert>
            )}
          </Stack>
        )}
      </Loaded>
    </Confirm>
  );
}
