import { Label, Tab, TabContentBody, Tabs, TabTitleText } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useSearchParams } from 'react-router';
import { ModulePage } from '../../components/ModulePage';
import { bytes } from '../../components/format';
import { isUnderWay, jobsQuery, stateQuery } from './api';
import { Jobs } from './Jobs';
import { PackedImages } from './PackedImages';
import { TestImages } from './TestImages';
import { useFreshImages } from './useFreshImages';

/** Images of the administrator's computer: made and tried here, packed, and uploaded. */
export function ThisComputer() {
  const [params, setParams] = useSearchParams();
  const state = useQuery(stateQuery);
  const jobs = useQuery(jobsQuery);
  useFreshImages(jobs.data);
  const busy = jobs.data?.filter(isUnderWay).length ?? 0;
  const tab = params.get('tab') ?? 'tests';
  return (
    <ModulePage
      title="This computer"
      says={
        state.data && (
          <>
            {bytes(state.data.disk_free)} are free in <code className="dormer-name">{state.data.folder}</code>, where
            packed images are.
          </>
        )
      }
    >
      <Tabs
        activeKey={tab}
        onSelect={(_, key) => setParams(key === 'tests' ? {} : { tab: String(key) }, { replace: true })}
        aria-label="Images of this computer"
      >
        <Tab eventKey="tests" title={<TabTitleText>Test images</TabTitleText>}>
          <TabContentBody hasPadding>{tab === 'tests' && <TestImages />}</TabContentBody>
        </Tab>
        <Tab eventKey="packed" title={<TabTitleText>Packed images</TabTitleText>}>
          <TabContentBody hasPadding>{tab === 'packed' && <PackedImages />}</TabContentBody>
        </Tab>
        <Tab
          eventKey="jobs"
          title={
            <>
              <TabTitleText>Jobs</TabTitleText> {busy > 0 && <Label isCompact>{busy} under way</Label>}
            </>
          }
        >
          <TabContentBody hasPadding>{tab === 'jobs' && <Jobs />}</TabContentBody>
        </Tab>
      </Tabs>
    </ModulePage>
  );
}
