import { DropdownItem, Flex } from '@patternfly/react-core';
import { useRef } from 'react';
import { raw } from '../../api/client';
import { saveFile } from '../../app/saveFile';
import { Menu } from '../../components/Menu';
import { useMessages } from '../../components/messages';
import type { Json, JsonObject } from '../../document/json';
import { toYAML } from '../../document/yaml';
import { asProblem, Problem } from '../../api/problem';
import { blankOrganization, opened } from './drafts';
import { observed } from './live';

interface Props {
  organization: Json;
  name: string;
  onReplace: (organization: JsonObject, what: string) => void;
}

const formats = [
  { format: 'html', name: 'HTML, with charts', media: 'text/html', extension: 'html' },
  { format: 'markdown', name: 'Markdown', media: 'text/markdown', extension: 'md' },
  { format: 'text', name: 'Text', media: 'text/plain', extension: 'txt' },
] as const;

/** What is done with the whole plan: opened, saved, filled with live figures, and its design document fetched. */
export function PlanFile({ organization, name, onReplace }: Props) {
  const say = useMessages();
  const file = useRef<HTMLInputElement>(null);
  const open = async (chosen: File) => {
    const got = opened(await chosen.text());
    if ('organization' in got) onReplace(got.organization, `${chosen.name} is opened`);
    else say.failed(`${chosen.name} is no plan`, new Problem({ title: got.problem, status: 0 }));
  };
  const fill = async () => {
    try {
      const filled = await observed(organization);
      onReplace(filled.organization, filled.says);
    } catch (thrown) {
      say.failed('No figures were taken from this instance', asProblem(thrown));
    }
  };
  const fetchDesign = async ({ format, media, extension }: (typeof formats)[number]) => {
    try {
      const answer = await raw(`/plan/document?format=${format}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Accept: media },
        body: JSON.stringify(organization),
      });
      saveFile(`${name}.${extension}`, await answer.blob());
    } catch (thrown) {
      say.failed('The design document was not made', asProblem(thrown));
    }
  };
  return (
    <Flex>
      <input
        ref={file}
        type="file"
        accept=".yaml,.yml,.json"
        hidden
        aria-label="File with a plan"
        onChange={(e) => {
          const [chosen] = e.target.files ?? [];
          if (chosen) void open(chosen);
          e.target.value = '';
        }}
      />
      <Menu label="Plan">
        <DropdownItem onClick={() => onReplace(blankOrganization(), 'A new plan is begun')}>New</DropdownItem>
        <DropdownItem onClick={() => file.current?.click()}>Open a file…</DropdownItem>
        <DropdownItem
          onClick={() => saveFile(`${name}.yaml`, new Blob([toYAML(organization)], { type: 'application/yaml' }))}
        >
          Save as a file
        </DropdownItem>
        <DropdownItem
          description="How many people, events and images it has seen in 30 days"
          onClick={() => void fill()}
        >
          Take the figures of this instance
        </DropdownItem>
      </Menu>
      <Menu label="Design document">
        {formats.map((f) => (
          <DropdownItem key={f.format} onClick={() => void fetchDesign(f)}>
            {f.name}
          </DropdownItem>
        ))}
      </Menu>
    </Flex>
  );
}
