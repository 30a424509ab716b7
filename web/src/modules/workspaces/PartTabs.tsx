import { Tab, Tabs, TabTitleIcon, TabTitleText } from '@patternfly/react-core';
import { memo, useEffect } from 'react';
import { FaultMark } from '../../form/FaultMark';
import type { Faults } from '../../form/form';

/** A tab of the page of a workspace, with how much is wrong on it. */
export interface PartTab {
  id: string;
  title: string;
  faults: Faults;
}

interface Props {
  tabs: PartTab[];
  selected: string;
  onSelect: (id: string) => void;
}

/** The tabs of the page of a workspace. They measure themselves whenever they are drawn: not at each key, then. */
export const PartTabs = memo(function PartTabs({ tabs, selected, onSelect }: Props) {
  // One that an address leads to may be beyond the edge.
  useEffect(() => {
    const tab = document.querySelector(`.dormer-many-tabs [role="tab"][aria-selected="true"]`);
    tab?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [selected]);
  return (
    <Tabs
      className="dormer-many-tabs"
      activeKey={selected}
      onSelect={(_, key) => onSelect(String(key))}
      aria-label="Parts of the workspace"
    >
      {tabs.map((t) => (
        <Tab
          key={t.id}
          eventKey={t.id}
          tabContentId={`tab-${t.id}`}
          title={
            <>
              <TabTitleText>{t.title}</TabTitleText>
              {t.faults.errors + t.faults.warnings > 0 && (
                <TabTitleIcon>
                  <FaultMark {...t.faults} />
                </TabTitleIcon>
              )}
            </>
          }
        />
      ))}
    </Tabs>
  );
});
