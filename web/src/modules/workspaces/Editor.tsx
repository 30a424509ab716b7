import { Stack, StackItem, TabContent } from '@patternfly/react-core';
import { useQuery, useQueryClient, type UseQueryResult } from '@tanstack/react-query';
import { useCallback, useMemo, useState } from 'react';
import { useNavigate, useSearchParams } from 'react-router';
import { asProblem } from '../../api/problem';
import { Loaded } from '../../components/Loaded';
import { useMessages } from '../../components/messages';
import { ModulePage } from '../../components/ModulePage';
import { asText } from '../../document/json';
import { isBelow, valueAt } from '../../document/paths';
import { countFaults } from '../../form/form';
import { useLead } from '../../form/lead';
import { useWithheld } from '../../form/withheld';
import { ChangedElsewhere } from '../../notices/ChangedElsewhere';
import { usePresence } from '../../notices/notices';
import { useReadOnly } from '../../session/session';
import { commit, history, type Held } from './calls';
import { CommitDialog } from './CommitDialog';
import { Conflict, type Theirs } from './Conflict';
import { DraftBar } from './DraftBar';
import { editorTabs } from './editor';
import type { Draft } from './editor/draft';
import { History } from './History';
import { LeaveGuard } from './LeaveGuard';
import { PartTabs, type PartTab } from './PartTabs';
import { useDraft } from './useDraft';
import { useValidation } from './useValidation';
import { Why } from './Why';
import { WorkspaceActions } from './WorkspaceActions';
import { WorkspaceSays } from './WorkspaceSays';
import { YAMLView } from './YAMLView';

interface Props {
  id: string;
  current: Held;
  query: UseQueryResult<Held>;
}

/** The editor around the tabs: what is changed, what is wrong with it, and what others do meanwhile. */
export function Editor({ id, current, query }: Props) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const say = useMessages();
  const readOnly = useReadOnly();
  const [search, setSearch] = useSearchParams();
  const work = useDraft(id, current);
  const [found, setFound] = useValidation(work.document);
  const said = useWithheld(work.document, found.errors, found.warnings);
  const [committing, setCommitting] = useState(false);
  // Stays when somebody else was faster, and the commit begins anew.
  const [message, setMessage] = useState('');
  const [theirs, setTheirs] = useState<Theirs>();
  const [leaving, setLeaving] = useState(false);
  const others = usePresence(`workspaces/${id}`, work.dirty);
  const revisions = useQuery({ queryKey: ['workspace', id, 'revisions'], queryFn: () => history(id) });
  const newest = revisions.data?.[0];
  const name = asText(valueAt(current.document, 'metadata.name'));

  const tab = search.get('tab') ?? editorTabs[0]?.id ?? 'yaml';
  const select = useCallback(
    (to: string) =>
      setSearch((was) => {
        was.set('tab', to);
        return was;
      }),
    [setSearch],
  );
  // A fault leads to its field, which is there when its tab is.
  const lead = useLead(
    useCallback(
      (path: string) => {
        const owner = editorTabs.find((t) => t.prefixes.some((p) => isBelow(path, p)))?.id ?? 'yaml';
        if (owner !== tab) select(owner);
      },
      [tab, select],
    ),
  );

  const broken =
    work.text && `Line ${work.text.line} of the YAML view is no document: correct it there, or go back, first.`;
  const draft = useMemo<Draft>(
    () => ({
      document: work.document,
      base: work.base.document,
      edit: work.edit,
      ...said,
      readOnly: readOnly ?? broken,
    }),
    [work, said, readOnly, broken],
  );

  const compare = async () => {
    const answer = await query.refetch();
    const all = await revisions.refetch();
    const last = all.data?.[0];
    if (answer.data) setTheirs({ held: answer.data, who: last?.author ?? '', when: last?.time ?? '' });
  };
  const act = async () => {
    try {
      const made = await commit(id, work.document, work.base.tag, message);
      work.discard();
      setMessage('');
      setTheirs(undefined);
      await queries.invalidateQueries({ queryKey: ['workspace'] });
      say.done(`${made.name} is committed: revision ${made.revision}`);
    } catch (thrown) {
      const problem = asProblem(thrown);
      if (problem.document.status === 412) {
        await compare();
        return;
      }
      const atFields = problem.fields.filter((f) => f.path !== 'message');
      if (atFields.length > 0) setFound({ errors: atFields, warnings: [], of: work.document });
      throw thrown;
    }
  };

  const shown = editorTabs.find((t) => t.id === tab);
  const brokenText = work.text !== undefined;
  const tabs = useMemo<PartTab[]>(
    () => [
      ...editorTabs.map((t) => ({
        id: t.id,
        title: t.title,
        faults: countFaults(said.errors, said.warnings, t.prefixes),
      })),
      { id: 'yaml', title: 'YAML', faults: { errors: brokenText ? 1 : 0, warnings: 0 } },
      { id: 'history', title: 'History', faults: { errors: 0, warnings: 0 } },
      { id: 'why', title: 'Why', faults: { errors: 0, warnings: 0 } },
    ],
    [said, brokenText],
  );
  const { discard } = work;
  const onDeleted = useCallback(() => {
    discard();
    setLeaving(true);
    void navigate('/workspaces');
  }, [discard, navigate]);
  return (
    <ModulePage
      title={name}
      above={[{ name: 'Workspaces', to: '/workspaces' }]}
      says={<WorkspaceSays id={id} name={name} newest={newest} />}
      actions={
        <WorkspaceActions
          id={id}
          name={name}
          etag={current.tag.replaceAll('"', '')}
          dirty={work.dirty}
          onDeleted={onDeleted}
        />
      }
    >
      <Stack hasGutter>
        <StackItem>
          {!work.dirty && <ChangedElsewhere kind="workspace" id={id} onShow={() => select('history')} />}
          <DraftBar
            work={work}
            found={found}
            said={said}
            others={others}
            committed={work.dirty && work.base.tag !== current.tag ? newest : undefined}
            not={broken}
            onCommit={() => setCommitting(true)}
            onCompare={() => void compare()}
            onDiscard={() => {
              const back = work.discard();
              say.undoable(`The changes of ${name} are discarded`, back);
            }}
            onFault={lead}
          />
          {query.isError && (
            <Loaded query={query} what="workspace">
              {() => null}
            </Loaded>
          )}
        </StackItem>
        {theirs ? (
          <StackItem>
            <Conflict
              work={work}
              theirs={theirs}
              onResolved={() => {
                setTheirs(undefined);
                setCommitting(true);
              }}
              onCancel={() => setTheirs(undefined)}
            />
          </StackItem>
        ) : (
          <>
            <StackItem>
              <PartTabs tabs={tabs} selected={tab} onSelect={select} />
            </StackItem>
            <StackItem isFilled>
              <TabContent
                id={`tab-${tab}`}
                eventKey={tab}
                activeKey={tab}
                aria-label={tabs.find((t) => t.id === tab)?.title ?? 'Workspace'}
              >
                {shown && <shown.Tab ws={draft} />}
                {tab === 'yaml' && (
                  <YAMLView
                    work={work}
                    errors={found.errors}
                    warnings={found.warnings}
                    readOnly={readOnly !== undefined}
                  />
                )}
                {tab === 'history' && (
                  <History
                    id={id}
                    current={current}
                    not={work.dirty ? 'Commit or discard your changes first.' : undefined}
                  />
                )}
                {tab === 'why' && <Why id={id} dirty={work.dirty} />}
              </TabContent>
            </StackItem>
          </>
        )}
      </Stack>
      {committing && (
        <CommitDialog
          before={work.base.document}
          after={work.document}
          warnings={found.warnings}
          onRevert={work.set}
          message={message}
          onMessage={setMessage}
          act={act}
          onClose={() => setCommitting(false)}
        />
      )}
      <LeaveGuard name={name} dirty={work.dirty && !leaving} onDiscard={() => void work.discard()} />
    </ModulePage>
  );
}
