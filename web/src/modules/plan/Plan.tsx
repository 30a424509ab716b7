import { Button, Grid, GridItem, Tab, TabContent, TabContentBody, Tabs, TabTitleText } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useCallback, useMemo, useState } from 'react';
import { useSearchParams } from 'react-router';
import { api, data } from '../../api/client';
import { asProblem, type FieldError } from '../../api/problem';
import { useMessages } from '../../components/messages';
import { DocumentEditor } from '../../components/DocumentEditor';
import { Loaded } from '../../components/Loaded';
import { ModulePage } from '../../components/ModulePage';
import { asText, isObject } from '../../document/json';
import { valueAt } from '../../document/paths';
import { fromYAML, toYAML } from '../../document/yaml';
import { DocumentForm } from '../../form/DocumentForm';
import { Field } from '../../form/Field';
import { countFaults } from '../../form/form';
import { useWithheld } from '../../form/withheld';
import { FaultMark } from '../../form/FaultMark';
import { useLead } from '../../form/lead';
import { schemaAt, type Schema } from '../../form/schema';
import { Section } from '../../form/Section';
import { useLater } from '../../app/later';
import { groups, pathsOf, tabOf, yamlTab } from './layout';
import { Part } from './PlanForm';
import { PlanFile } from './PlanFile';
import { Results } from './Results';
import { useEntered, type Work } from './useEntered';

/** How long nobody must have typed before the plan is worked out, in milliseconds. */
const pause = 600;

/** Wide tables scroll within their half. */
const narrow = { minInlineSize: 0, overflowX: 'auto' } as const;

/** The organization has its specification even when nothing is in it. */
const keepSpec = (): string => 'spec';

/** The infrastructure planner: an organization on one side, what it needs on the other. */
export function Plan() {
  const say = useMessages();
  const work = useEntered();
  const { organization, text, edit } = work;
  const settled = useLater(organization, pause);
  const readOnly = text && `Line ${text.line} of the YAML is no document: correct it there, or go back, first.`;
  const [, setSearch] = useSearchParams();
  const show = useCallback(
    (tab: string) =>
      setSearch(
        (was) => {
          const next = new URLSearchParams(was);
          next.set('input', tab);
          return next;
        },
        { replace: true },
      ),
    [setSearch],
  );
  const lead = useLead(useCallback((path: string) => show(tabOf(path)), [show]));
  const result = useQuery({
    queryKey: ['plan', settled],
    queryFn: () => data(api.POST('/plan', { body: isObject(settled) ? settled : {} })),
    placeholderData: (last) => last,
    staleTime: Infinity,
    retry: false,
  });
  // A fault leaves the last plan that was worked out on the screen.
  const [last, setLast] = useState(result.data);
  if (result.data !== undefined && result.data !== last) setLast(result.data);
  const errors = useMemo(() => (result.isError ? asProblem(result.error).fields : []), [result.isError, result.error]);
  const warnings = useMemo<FieldError[]>(
    () => (result.data?.warnings ?? []).flatMap((w) => (w.path ? [{ path: w.path, message: w.text }] : [])),
    [result.data],
  );
  const name = asText(valueAt(organization, 'metadata.name')) || 'Plan';
  return (
    <ModulePage
      title="Plan"
      says="What servers, databases and repositories an organization needs, and why."
      actions={
        <PlanFile
          organization={organization}
          name={name}
          onReplace={(document, what) => say.undoable(what, work.replace(document))}
        />
      }
    >
      <Grid hasGutter>
        <GridItem xl={6} style={narrow}>
          <Input work={work} readOnly={readOnly} errors={errors} warnings={warnings} show={show} />
        </GridItem>
        <GridItem xl={6} style={narrow}>
          <Results
            organization={settled}
            entered={organization}
            onChange={edit}
            readOnly={readOnly}
            onFault={lead}
            query={result}
            last={last}
            isOld={settled !== organization || result.isPlaceholderData}
          />
        </GridItem>
      </Grid>
    </ModulePage>
  );
}

interface InputProps {
  work: Work;
  /** Why the form changes nothing now; undefined: it does. */
  readOnly: string | undefined;
  errors: FieldError[];
  warnings: FieldError[];
  /** Opens a tab. */
  show: (tab: string) => void;
}

function Input({ work, readOnly, errors, warnings, show }: InputProps) {
  const [search] = useSearchParams();
  const said = useWithheld(work.organization, errors, warnings);
  const schema = useQuery({
    queryKey: ['schema', 'organization'],
    queryFn: async () => (await data(api.GET('/schema/organization.json'))) as Schema,
    staleTime: Infinity,
  });
  const wanted = search.get('input') ?? groups[0]?.id;
  const shown = groups.find((g) => g.id === wanted);
  const tab = shown?.id ?? yamlTab;
  return (
    <>
      <Tabs activeKey={tab} onSelect={(_, key) => show(String(key))} aria-label="The organization" isOverflowHorizontal>
        {[...groups, { id: yamlTab, title: 'YAML', members: [] }].map((g) => (
          <Tab
            key={g.id}
            eventKey={g.id}
            tabContentId={`plan-input-${g.id}`}
            title={
              <TabTitleText>
                {g.title}{' '}
                {g.id === yamlTab ? (
                  <FaultMark errors={work.text ? 1 : 0} warnings={0} />
                ) : (
                  <FaultMark {...countFaults(said.errors, said.warnings, pathsOf(g))} />
                )}
              </TabTitleText>
            }
          />
        ))}
      </Tabs>
      <TabContent id={`plan-input-${tab}`} aria-label={shown?.title ?? 'YAML'} hidden={false}>
        <TabContentBody>
          <Loaded query={schema} what="form">
            {(s) =>
              shown ? (
                <DocumentForm
                  schema={s}
                  document={work.organization}
                  onChange={work.edit}
                  readOnly={readOnly}
                  {...said}
                  keep={keepSpec}
                >
                  {shown === groups[0] && (
                    <Section title="The plan">
                      <Field path="metadata.name" />
                      <Field path="metadata.description" lines={3} />
                    </Section>
                  )}
                  {shown.members.map((m) => {
                    const part = schemaAt(s, `spec.${m}`);
                    return part && <Part key={m} path={`spec.${m}`} schema={part} />;
                  })}
                </DocumentForm>
              ) : (
                <YAMLInput work={work} errors={errors} warnings={warnings} />
              )
            }
          </Loaded>
        </TabContentBody>
      </TabContent>
    </>
  );
}

/** The same organization as text. What does not read as YAML stays as it was typed, and the plan as it was. */
function YAMLInput({ work, errors, warnings }: Pick<InputProps, 'work' | 'errors' | 'warnings'>) {
  const { organization, text: broken, edit, setText } = work;
  const [typed, setTyped] = useState(() => ({ text: toYAML(organization), organization }));
  // Something else than this text changed the organization: it is undone, or opened.
  if (typed.organization !== organization) setTyped({ text: toYAML(organization), organization });
  return (
    <>
      <DocumentEditor
        label="The organization as YAML"
        language="yaml"
        value={broken?.text ?? typed.text}
        errors={broken ? [{ path: '', line: broken.line, message: broken.message }] : errors}
        warnings={broken ? [] : warnings}
        onChange={(text) => {
          const got = fromYAML(text);
          if ('error' in got) {
            setText({ text, ...got.error });
            return;
          }
          setTyped({ text, organization: got.document });
          edit(() => got.document);
        }}
      />
      {broken && (
        <Button variant="link" onClick={() => setText(undefined)}>
          Take back what does not read as YAML
        </Button>
      )}
    </>
  );
}
