import { Button, Grid, GridItem, Tab, TabContent, TabContentBody, Tabs, TabTitleText } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import { useSearchParams } from 'react-router';
import { api, data } from '../../api/client';
import { asProblem, type FieldError } from '../../api/problem';
import { useMessages } from '../../components/messages';
import { DocumentEditor } from '../../components/DocumentEditor';
import { Loaded } from '../../components/Loaded';
import { ModulePage } from '../../components/ModulePage';
import { asText, isObject, type Json, type JsonObject } from '../../document/json';
import { valueAt } from '../../document/paths';
import { fromYAML, toYAML } from '../../document/yaml';
import { DocumentForm } from '../../form/DocumentForm';
import { Field } from '../../form/Field';
import { countFaults } from '../../form/form';
import { FaultMark } from '../../form/FaultMark';
import { schemaAt, type Schema } from '../../form/schema';
import { Section } from '../../form/Section';
import { draft, keepDraft } from './drafts';
import { useLater } from '../../app/later';
import { groups } from './layout';
import { Part } from './PlanForm';
import { PlanFile } from './PlanFile';
import { Results } from './Results';

/** How long nobody must have typed before the plan is worked out, in milliseconds. */
const pause = 600;

const yamlTab = 'yaml';

/** Wide tables scroll within their half. */
const narrow = { minInlineSize: 0, overflowX: 'auto' } as const;

/** The organization has its specification even when nothing is in it. */
const keepSpec = (): string => 'spec';

/** The infrastructure planner: an organization on one side, what it needs on the other. */
export function Plan() {
  const say = useMessages();
  const [organization, setState] = useState<Json>(draft);
  const settled = useLater(organization, pause);
  const set = (document: Json) => {
    setState(document);
    keepDraft(document);
  };
  const replace = (document: JsonObject, what: string) => {
    const before = organization;
    set(document);
    say.undoable(what, () => set(before));
  };
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
      actions={<PlanFile organization={organization} name={name} onReplace={replace} />}
    >
      <Grid hasGutter>
        <GridItem xl={6} style={narrow}>
          <Input organization={organization} onChange={set} errors={errors} warnings={warnings} />
        </GridItem>
        <GridItem xl={6} style={narrow}>
          <Results
            organization={settled}
            entered={organization}
            onChange={set}
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
  organization: Json;
  onChange: (organization: Json) => void;
  errors: FieldError[];
  warnings: FieldError[];
}

function Input({ organization, onChange, errors, warnings }: InputProps) {
  const [search, setSearch] = useSearchParams();
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
      <Tabs
        activeKey={tab}
        onSelect={(_, key) =>
          setSearch(
            (was) => {
              const next = new URLSearchParams(was);
              next.set('input', String(key));
              return next;
            },
            { replace: true },
          )
        }
        aria-label="The organization"
        isOverflowHorizontal
      >
        {[...groups, { id: yamlTab, title: 'YAML', members: [] }].map((g) => (
          <Tab
            key={g.id}
            eventKey={g.id}
            tabContentId={`plan-input-${g.id}`}
            title={
              <TabTitleText>
                {g.title}{' '}
                <FaultMark
                  {...countFaults(
                    errors,
                    warnings,
                    g.members.map((m) => `spec.${m}`),
                  )}
                />
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
                  document={organization}
                  onChange={onChange}
                  errors={errors}
                  warnings={warnings}
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
                <YAMLInput organization={organization} onChange={onChange} errors={errors} warnings={warnings} />
              )
            }
          </Loaded>
        </TabContentBody>
      </TabContent>
    </>
  );
}

/** The same organization as text. What does not read as YAML stays as it was typed, and the plan as it was. */
function YAMLInput({ organization, onChange, errors, warnings }: InputProps) {
  const [text, setText] = useState(() => toYAML(organization));
  const [typed, setTyped] = useState<Json>(organization);
  const read = useMemo(() => fromYAML(text), [text]);
  useEffect(() => {
    // Something else than this text changed the organization: it is undone, or opened.
    if (organization !== typed) {
      setTyped(organization);
      setText(toYAML(organization));
    }
  }, [organization, typed]);
  const faults = 'error' in read ? [{ path: '', line: read.error.line, message: read.error.message }] : errors;
  return (
    <>
      <DocumentEditor
        label="The organization as YAML"
        language="yaml"
        value={text}
        errors={faults}
        warnings={warnings}
        onChange={(t) => {
          setText(t);
          const got = fromYAML(t);
          if ('document' in got) {
            setTyped(got.document);
            onChange(got.document);
          }
        }}
      />
      {'error' in read && (
        <Button variant="link" onClick={() => setText(toYAML(organization))}>
          Take back what does not read as YAML
        </Button>
      )}
    </>
  );
}
