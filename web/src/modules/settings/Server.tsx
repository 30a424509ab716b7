import {
  DescriptionList,
  DescriptionListDescription,
  DescriptionListGroup,
  DescriptionListTerm,
  Stack,
  StackItem,
} from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { api, data } from '../../api/client';
import { HealthTable } from '../../components/HealthTable';
import { Loaded } from '../../components/Loaded';

/** What this server is, and how its parts are. */
export function Server() {
  const query = useQuery({ queryKey: ['instance'], queryFn: () => data(api.GET('/instance')) });
  return (
    <Stack hasGutter>
      <StackItem>
        <Loaded query={query} what="server">
          {(i) => (
            <DescriptionList isHorizontal aria-label="This server">
              <DescriptionListGroup>
                <DescriptionListTerm>Version</DescriptionListTerm>
                <DescriptionListDescription>{i.version}</DescriptionListDescription>
              </DescriptionListGroup>
              <DescriptionListGroup>
                <DescriptionListTerm>Instance</DescriptionListTerm>
                <DescriptionListDescription>
                  <code>{i.id}</code>
                </DescriptionListDescription>
              </DescriptionListGroup>
              <DescriptionListGroup>
                <DescriptionListTerm>Epoch</DescriptionListTerm>
                <DescriptionListDescription>{i.epoch}</DescriptionListDescription>
              </DescriptionListGroup>
              <DescriptionListGroup>
                <DescriptionListTerm>API</DescriptionListTerm>
                <DescriptionListDescription>
                  <a
                    href={new URL('../api/v1/openapi.json', document.baseURI).href}
                  >{`Version ${i.api}, as an OpenAPI document`}</a>
                </DescriptionListDescription>
              </DescriptionListGroup>
            </DescriptionList>
          )}
        </Loaded>
      </StackItem>
      <StackItem>
        <HealthTable />
      </StackItem>
    </Stack>
  );
}
