import { closestCenter, DndContext, KeyboardSensor, PointerSensor, useSensor, useSensors } from '@dnd-kit/core';
import { SortableContext, sortableKeyboardCoordinates, verticalListSortingStrategy } from '@dnd-kit/sortable';
import {
  Checkbox,
  HelperText,
  HelperTextItem,
  Pagination,
  Toolbar,
  ToolbarContent,
  ToolbarItem,
} from '@patternfly/react-core';
import { PlusCircleIcon } from '@patternfly/react-icons/dist/esm/icons/plus-circle-icon';
import { Table, Tbody, Th, Thead, Tr } from '@patternfly/react-table';
import { useLayoutEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { ActionButton } from '../components/ActionButton';
import { useMessages } from '../components/messages';
import { SearchField } from '../components/SearchField';
import type { FieldError } from '../api/problem';
import { asList, isObject, type Json, type JsonObject } from '../document/json';
import { isBelow, valueAt } from '../document/paths';
import { inSentence } from '../document/reading';
import { useAnnouncements } from './dragging';
import { FaultTexts } from './FaultTexts';
import { inputId, messagesAt, useForm, useShown } from './form';
import { ItemDialog } from './ItemDialog';
import { ItemRow, type RowActions } from './ItemRow';
import { useItemKeys, useSameKeys } from './itemKeys';
import { blank, schemaAt } from './schema';
import { moved } from './Texts';

/** One column of a list of things. */
export interface ItemColumn {
  name: string;
  /** What it shows of an item; nothing or '' where there is no value yet. */
  cell: (item: JsonObject, path: string) => ReactNode;
}

interface Props {
  /** Path of the list: spec.applications.published. */
  path: string;
  /** What the list is called, as "Applications", and one of it: "application". */
  label: string;
  one: string;
  /** What an item is called: its name. */
  name: (item: JsonObject) => string;
  /** The first says what the item is. */
  columns: ItemColumn[];
  /** The fields of one item, whose path is given. */
  fields: (path: string) => ReactNode;
  /** What is said when there is none. */
  empty: string;
  /** The order means something: items are moved. */
  ordered?: boolean;
  /** A new item, made of what the schema demands by default. */
  fresh?: () => JsonObject;
  /** Replaces the button that adds one; not: why none can be added. */
  adder?: (add: (item: JsonObject, open?: boolean) => void, not: string | undefined) => ReactNode;
  /** Shown above the table when some are chosen; absent: none can be chosen. */
  several?: (chosen: number[], clear: () => void) => ReactNode;
}

/** From how many items on they can be searched, and how many are on the screen at once. */
const searched = 8;
const shownAtOnce = 25;

const texts = new WeakMap<JsonObject, string>();

/** What the search looks in. Items are never changed in place: most have been asked before. */
function searchedText(item: JsonObject): string {
  let text = texts.get(item);
  if (text === undefined) {
    text = JSON.stringify(item).toLocaleLowerCase();
    texts.set(item, text);
  }
  return text;
}

const asItem = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});

const pointer = { activationConstraint: { distance: 4 } };
const keyboard = { coordinateGetter: sortableKeyboardCoordinates };

/** What is wrong within each item of the list at a path, by its place. */
export interface ItemFaults {
  errors: FieldError[];
  warnings: FieldError[];
}

function byItem(path: string, errors: FieldError[], warnings: FieldError[]): ReadonlyMap<number, ItemFaults> {
  const found = new Map<number, ItemFaults>();
  const put = (fault: FieldError, kind: keyof ItemFaults) => {
    const place = fault.path.startsWith(`${path}[`)
      ? Number.parseInt(fault.path.slice(path.length + 1), 10)
      : Number.NaN;
    if (Number.isNaN(place)) return;
    const of = found.get(place) ?? { errors: [], warnings: [] };
    of[kind].push(fault);
    found.set(place, of);
  };
  for (const e of errors) put(e, 'errors');
  for (const w of warnings) put(w, 'warnings');
  return found;
}

/** What a new item is called: by its name too, where it had one from the start. */
const newTitle = (one: string, item: JsonObject | undefined, name: Props['name']): string =>
  [`New ${one}`, item && name(item)].filter(Boolean).join(': ');

/** A list of things with several values each: a table, and a dialog for one of them. */
export function Items(props: Props) {
  const { path, label, one, name, columns, fields, empty, ordered = false, adder, several } = props;
  const { schema, document, edit, errors, warnings, readOnly } = useForm();
  const { undoable } = useMessages();
  const [search, setSearch] = useState('');
  const [faulty, setFaulty] = useState(false);
  const [page, setPage] = useState(1);
  const [opened, setOpened] = useState<{ at: number; before: JsonObject | undefined }>();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const sensors = useSensors(useSensor(PointerSensor, pointer), useSensor(KeyboardSensor, keyboard));

  const list = valueAt(document, path);
  const items = useMemo(() => asList(list).map(asItem), [list]);
  const keys = useItemKeys(items);
  const below = (p: string) => isBelow(p, path);
  useShown([path, ...[...errors, ...warnings].map((f) => f.path).filter(below)]);
  const own = { errors: messagesAt(errors, path), warnings: messagesAt(warnings, path) };
  const faults = useMemo(() => byItem(path, errors, warnings), [path, errors, warnings]);
  const wanted = search.trim().toLocaleLowerCase();
  const rows = useMemo(
    () =>
      items
        .map((item, at) => ({ item, at, key: keys[at] ?? '' }))
        .filter(({ item, at }) => {
          if (faulty && !faults.has(at)) return false;
          return wanted === '' || searchedText(item).includes(wanted);
        }),
    [items, keys, faulty, faults, wanted],
  );
  const withFaults = faults.size > 0;
  const pages = Math.max(1, Math.ceil(rows.length / shownAtOnce));
  const current = Math.min(page, pages);
  const shown = rows.slice((current - 1) * shownAtOnce, current * shownAtOnce);
  const sortable = useSameKeys(shown.map((r) => r.key));
  const movable = ordered && wanted === '' && !faulty;

  const change = (make: (list: Json[]) => Json[]) =>
    edit(path, (value) => {
      const made = make(asList(value));
      return made.length === 0 ? undefined : made;
    });
  const add = (item: JsonObject, open = true) => {
    change((all) => [...all, item]);
    setSearch('');
    setFaulty(false);
    setPage(Math.ceil((items.length + 1) / shownAtOnce));
    if (open) setOpened({ at: items.length, before: undefined });
  };
  const remove = (at: number) => {
    const item = items[at];
    if (!item) return;
    change((all) => all.toSpliced(at, 1));
    undoable(`${named(item)} was removed`, () =>
      change((all) => (all.includes(item) ? all : all.toSpliced(at, 0, item))),
    );
  };
  const named = (item: JsonObject): string => name(item) || `The ${one} without a name`;
  const move = (from: number, to: number) => change((all) => moved(all, from, to));
  const itemSchema = schemaAt(schema, `${path}[]`);
  const fresh = props.fresh ?? (() => blank(itemSchema ?? {}));
  const rowOf = (key: string | number) => rows.find((r) => r.key === key);
  const called = (key: string | number): string => named(rowOf(key)?.item ?? {});
  const place = (key: string | number): string => `place ${(rowOf(key)?.at ?? 0) + 1} of ${items.length}`;
  const said = useAnnouncements(called, place);
  const picked = rows.filter((r) => chosen.has(r.key));
  const choosable = several !== undefined;
  // Rows are drawn anew for what they show, and do what is right at the time.
  const acts = useRef<RowActions>(undefined);
  useLayoutEffect(() => {
    acts.current = {
      open: (at) => setOpened({ at, before: items[at] ?? {} }),
      move,
      remove,
      choose: (key, on) => setChosen((was) => new Set(on ? [...was, key] : [...was].filter((k) => k !== key))),
    };
  });
  const actions = useMemo<RowActions>(
    () => ({
      open: (at) => acts.current?.open(at),
      move: (from, to) => acts.current?.move(from, to),
      remove: (at) => acts.current?.remove(at),
      choose: (key, on) => acts.current?.choose(key, on),
    }),
    [],
  );

  return (
    <div>
      <HelperText isLiveRegion>
        <FaultTexts {...own} label={label} />
      </HelperText>
      <Toolbar inset={{ default: 'insetNone' }}>
        <ToolbarContent>
          {items.length >= searched && (
            <SearchField
              of={label}
              value={search}
              onChange={(entered) => {
                setSearch(entered);
                setPage(1);
              }}
            />
          )}
          <ToolbarItem>
            {adder ? (
              adder(add, readOnly)
            ) : (
              <ActionButton
                variant="secondary"
                icon={<PlusCircleIcon />}
                id={inputId(path)}
                not={readOnly}
                onClick={() => add(fresh())}
              >
                Add {one}
              </ActionButton>
            )}
          </ToolbarItem>
          {(withFaults || faulty) && items.length > shownAtOnce && (
            <ToolbarItem>
              <Checkbox
                id={`${inputId(path)}:faulty`}
                label="Only what needs a look"
                isChecked={faulty}
                onChange={(_, on) => {
                  setFaulty(on);
                  setPage(1);
                }}
              />
            </ToolbarItem>
          )}
          {rows.length > shownAtOnce && (
            <ToolbarItem align={{ default: 'alignEnd' }}>
              <Pagination
                itemCount={rows.length}
                page={current}
                perPage={shownAtOnce}
                perPageOptions={[{ title: String(shownAtOnce), value: shownAtOnce }]}
                onSetPage={(_, p) => setPage(p)}
                isCompact
                titles={{ paginationAriaLabel: `Pages of ${label}` }}
              />
            </ToolbarItem>
          )}
        </ToolbarContent>
      </Toolbar>
      {several &&
        picked.length > 0 &&
        several(
          picked.map((r) => r.at),
          () => setChosen(new Set()),
        )}
      {items.length === 0 ? (
        <HelperText>
          <HelperTextItem>{empty}</HelperTextItem>
        </HelperText>
      ) : (
        <DndContext
          sensors={sensors}
          accessibility={{ announcements: said }}
          collisionDetection={closestCenter}
          onDragEnd={({ active, over }) => {
            const from = rowOf(active.id);
            const to = over && rowOf(over.id);
            if (from && to) move(from.at, to.at);
          }}
        >
          <Table aria-label={label} variant="compact">
            <Thead>
              <Tr>
                {choosable && (
                  <Th screenReaderText="Chosen" modifier="fitContent">
                    <Checkbox
                      id={`${inputId(path)}:all`}
                      aria-label={`Choose all ${inSentence(label)}`}
                      isChecked={picked.length === rows.length ? rows.length > 0 : picked.length === 0 ? false : null}
                      onChange={(_, on) => setChosen(new Set(on ? rows.map((r) => r.key) : []))}
                    />
                  </Th>
                )}
                {movable && <Th screenReaderText="Order" modifier="fitContent" />}
                {columns.map((c) => (
                  <Th key={c.name} modifier="wrap">
                    {c.name}
                  </Th>
                ))}
                <Th screenReaderText="Actions" />
              </Tr>
            </Thead>
            <Tbody>
              <SortableContext items={sortable} strategy={verticalListSortingStrategy}>
                {shown.map(({ item, at, key }) => (
                  <ItemRow
                    key={key}
                    id={key}
                    at={at}
                    isLast={at === items.length - 1}
                    path={`${path}[${at}]`}
                    item={item}
                    name={named(item)}
                    columns={columns}
                    faults={faults.get(at)}
                    actions={actions}
                    isMovable={movable}
                    readOnly={readOnly}
                    chosen={choosable ? chosen.has(key) : undefined}
                  />
                ))}
              </SortableContext>
            </Tbody>
          </Table>
          {shown.length === 0 && <p>Nothing fits what you search for.</p>}
        </DndContext>
      )}
      {opened && opened.at < items.length && (
        <ItemDialog
          title={opened.before ? named(opened.before) : newTitle(one, adder && items[opened.at], name)}
          path={`${path}[${opened.at}]`}
          isNew={opened.before === undefined}
          onDone={() => setOpened(undefined)}
          onCancel={() => {
            const { at, before } = opened;
            setOpened(undefined);
            if (readOnly !== undefined) return;
            change((all) => (before === undefined ? all.toSpliced(at, 1) : all.with(at, before)));
          }}
        >
          {fields(`${path}[${opened.at}]`)}
        </ItemDialog>
      )}
    </div>
  );
}
