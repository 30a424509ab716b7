import {
  Alert,
  Button,
  Flex,
  FlexItem,
  MenuToggle,
  Select,
  SelectList,
  SelectOption,
  TextInputGroup,
  TextInputGroupMain,
  type MenuToggleElement,
} from '@patternfly/react-core';
import { UserIcon } from '@patternfly/react-icons/dist/esm/icons/user-icon';
import { UsersIcon } from '@patternfly/react-icons/dist/esm/icons/users-icon';
import { useQuery } from '@tanstack/react-query';
import { useId, useState, type KeyboardEvent, type Ref } from 'react';
import { api, data, type Schemas } from '../api/client';
import { asProblem } from '../api/problem';
import { useLater } from '../app/later';
import { ActionButton } from './ActionButton';

type Principal = Schemas['Principal'];
type Entry = Schemas['Entry'];

/** How long somebody has to type no more before the directories are asked, in milliseconds. */
const pause = 250;

/** How many are offered at once. */
const offered = 20;

interface Props {
  /** Whom one may pick. */
  kinds: ('user' | 'group')[];
  /** The name of the field. */
  label: string;
  onPick: (principal: Principal) => void;
  /** Identity of the input, for a label elsewhere. */
  id?: string;
  /** Why nobody can be picked; undefined: somebody can. */
  not?: string | undefined;
}

const words = { user: 'user', group: 'group' };

const keyOf = (e: Entry): string =>
  `${e.principal.directory}/${e.principal.kind}/${e.principal.key || e.principal.name}`;

const described = (e: Entry): string =>
  [e.display_name, `${e.principal.kind} of ${e.principal.directory}`, e.detail, e.state].filter(Boolean).join(' · ');

/**
 * Picks a user or a group of the directories: searched while one types, by the
 * beginning of the name; or a whole name that is checked, with a choice when
 * several go by it.
 */
export function PrincipalPicker({ kinds, label, onPick, id, not }: Props) {
  const isDisabled = not !== undefined;
  const own = useId();
  const input = id ?? own;
  const [text, setText] = useState('');
  const prefix = useLater(text, pause).trim();
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const [meant, setMeant] = useState<Entry[] | null>(null);
  const [said, setSaid] = useState<{ variant: 'danger' | 'warning'; text: string } | null>(null);
  const [checking, setChecking] = useState(false);
  const what = kinds.map((k) => words[k]).join(' or ');

  const search = useQuery({
    queryKey: ['directory', 'find', prefix],
    enabled: prefix !== '' && open,
    queryFn: ({ signal }) =>
      data(api.GET('/directory/find', { params: { query: { prefix, limit: 2 * offered } }, signal })),
  });
  const found = (search.data?.items ?? []).filter((e) => kinds.some((k) => k === e.principal.kind)).slice(0, offered);
  const away = search.data?.unanswered ?? [];
  const entries = meant ?? found;

  const pick = (e: Entry) => {
    setText('');
    setMeant(null);
    setSaid(null);
    setOpen(false);
    setActive(-1);
    onPick(e.principal);
  };

  const check = async () => {
    const name = text.trim();
    if (name === '') return;
    setChecking(true);
    setSaid(null);
    try {
      const kind = kinds.length === 1 ? kinds[0] : undefined;
      const answer = await data(
        api.GET('/directory/check', { params: { query: { name, limit: offered, ...(kind ? { kind } : {}) } } }),
      );
      const all = (answer.items ?? []).filter((e) => kinds.some((k) => k === e.principal.kind));
      const missing = answer.unanswered ?? [];
      const [one] = all;
      if (all.length === 1 && one && missing.length === 0) {
        pick(one);
      } else if (all.length > 0) {
        setMeant(all);
        setActive(-1);
        setOpen(true);
        setSaid({
          variant: 'warning',
          text:
            missing.length > 0
              ? `${missing.join(', ')} did not answer: whom they have is not here. Choose who is meant.`
              : `${all.length} go by that name. Choose who is meant.`,
        });
      } else {
        setOpen(false);
        setSaid({
          variant: 'danger',
          text:
            missing.length > 0
              ? `${missing.join(', ')} did not answer, and nobody else goes by that name. Try again later.`
              : `No ${what} goes by that name. Type its beginning to search.`,
        });
      }
    } catch (thrown) {
      setSaid({ variant: 'danger', text: asProblem(thrown).message });
    } finally {
      setChecking(false);
    }
  };

  const onKeyDown = (e: KeyboardEvent) => {
    if (e.key === 'Enter') {
      e.preventDefault();
      const chosen = open ? entries[active] : undefined;
      if (chosen) pick(chosen);
      else void check();
    } else if (e.key === 'Escape' || e.key === 'Tab') {
      if (open && e.key === 'Escape') e.stopPropagation();
      setOpen(false);
    } else if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      e.preventDefault();
      if (!open) setOpen(text !== '');
      else if (entries.length > 0) {
        const by = e.key === 'ArrowDown' ? 1 : -1;
        setActive((now) => (now < 0 && by < 0 ? entries.length - 1 : (now + by + entries.length) % entries.length));
      }
    }
  };

  const activeID = entries[active] ? `${input}-${active}` : '';
  const toggle = (ref: Ref<MenuToggleElement>) => (
    <MenuToggle
      ref={ref}
      variant="typeahead"
      isFullWidth
      isExpanded={open}
      isDisabled={isDisabled}
      onClick={() => setOpen(!open && text !== '')}
      aria-label={`${label}: who was found`}
    >
      <TextInputGroup isPlain isDisabled={isDisabled}>
        <TextInputGroupMain
          inputId={input}
          aria-label={label}
          value={text}
          placeholder={`Name of a ${what}`}
          autoComplete="off"
          inputProps={{
            maxLength: 500,
            onKeyDown,
            role: 'combobox',
            'aria-expanded': open,
            'aria-controls': `${input}-list`,
            'aria-activedescendant': activeID || undefined,
          }}
          onChange={(_, v) => {
            setText(v);
            setMeant(null);
            setSaid(null);
            setActive(-1);
            setOpen(v.trim() !== '');
          }}
        />
      </TextInputGroup>
    </MenuToggle>
  );

  return (
    <>
      <Flex flexWrap={{ default: 'nowrap' }} gap={{ default: 'gapSm' }}>
        <FlexItem grow={{ default: 'grow' }}>
          <Select
            variant="typeahead"
            isOpen={open}
            onOpenChange={setOpen}
            onSelect={(_, key) => {
              const chosen = entries.find((e) => keyOf(e) === key);
              if (chosen) pick(chosen);
            }}
            toggle={toggle}
            isScrollable
          >
            <SelectList id={`${input}-list`} aria-label={label}>
              {entries.map((e, i) => (
                <SelectOption
                  key={keyOf(e)}
                  id={`${input}-${i}`}
                  value={keyOf(e)}
                  isFocused={i === active}
                  icon={e.principal.kind === 'group' ? <UsersIcon /> : <UserIcon />}
                  description={<span className="dormer-name">{described(e)}</span>}
                >
                  <span className="dormer-name">{e.principal.name}</span>
                </SelectOption>
              ))}
              {entries.length === 0 && (
                <SelectOption isDisabled key="none" value="">
                  {search.isFetching || prefix !== text.trim()
                    ? 'The directories are searched'
                    : `No ${what} begins so`}
                </SelectOption>
              )}
              {meant === null && away.length > 0 && (
                <SelectOption isDisabled key="away" value="">
                  {`${away.join(', ')} did not answer`}
                </SelectOption>
              )}
            </SelectList>
          </Select>
        </FlexItem>
        <FlexItem>
          {not === undefined ? (
            <Button
              variant="secondary"
              onClick={() => void check()}
              isLoading={checking}
              isDisabled={text.trim() === ''}
            >
              Check name
            </Button>
          ) : (
            <ActionButton variant="secondary" not={not}>
              Check name
            </ActionButton>
          )}
        </FlexItem>
      </Flex>
      <div aria-live="polite">
        {said && <Alert isInline isPlain variant={said.variant} title={said.text} component="p" />}
        {search.isError && open && (
          <Alert isInline isPlain variant="danger" title={asProblem(search.error).message} component="p" />
        )}
      </div>
    </>
  );
}
