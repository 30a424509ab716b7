import { closestCenter, DndContext, KeyboardSensor, PointerSensor, useSensor, useSensors } from '@dnd-kit/core';
import { SortableContext, sortableKeyboardCoordinates, verticalListSortingStrategy } from '@dnd-kit/sortable';
import {
  Button,
  Checkbox,
  HelperText,
  HelperTextItem,
  Pagination,
  SearchInput,
  Toolbar,
  ToolbarContent,
  ToolbarItem,
} from '@patternfly/react-core';
import { PlusCircleIcon } from '@patternfly/react-icons/dist/esm/icons/plus-circle-icon';
import { Table, Tbody, Th, Thead, Tr } from '@patternfly/react-table';
import { useState, type ReactNode } from 'react';
import { useMessages } from '../components/messages';
import { asList, isObject, type Json, type JsonObject } from '../document/json';
import { isBelow, valueAt } from '../document/paths';
import { countFaults, inputId, useForm, useShown } from './form';
import { ItemDialog } from './ItemDialog';
import { ItemRow } from './ItemRow';
import { itemKey } from './itemKey';
import { blank, inSentence, schemaAt } from './schema';
import { moved } from './Texts';

/** One column of a list of things. */
export interface ItemColumn {
  name: string;
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
  /** Replaces the button that adds one. */
  adder?: (add: (item: JsonObject, open?: boolean) => void) => ReactNode;
  /** Shown above the table when some are chosen; absent: none can be chosen. */
  several?: (chosen: number[], clear: () => void) => ReactNode;
}

/** From how many items on they can be searched, and how many are on the screen at once. */
const searched = 8;
const shownAtOnce = 25;

const asItem = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});

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
  const sensors = useSensors(
    useSensor(PointerSensor, { activationConstraint: { distance: 4 } }),
    useSensor(KeyboardSensor, { coordinateGetter: sortableKeyboardCoordinates }),
  );

  const items = asList(valueAt(document, path)).map(asItem);
  const below = (p: string) => isBelow(p, path);
  useShown([path, ...[...errors, ...warnings].map((f) => f.path).filter(below)]);
  const own = errors.filter((e) => e.path === path);
  const faultsOf = (i: number) => countFaults(errors, warnings, [`${path}[${i}]`]);
  const wanted = search.trim().toLocaleLowerCase();
  const rows = items
    .map((item, at) => ({ item, at, key: itemKey(item) }))
    .filter(({ item, at }) => {
      if (faulty && faultsOf(at).errors + faultsOf(at).warnings === 0) return false;
      return wanted === '' || JSON.stringify(item).toLocaleLowerCase().includes(wanted);
    });
  const withFaults =
    errors.some((e) => isBelow(e.path, path) && e.path !== path) || warnings.some((e) => isBelow(e.path, path));
  const pages = Math.max(1, Math.ceil(rows.length / shownAtOnce));
  const current = Math.min(page, pages);
  const shown = rows.slice((current - 1) * shownAtOnce, current * shownAtOnce);
  const movable = ordered && readOnly === undefined && wanted === '' && !faulty;

  const change = (make: (list: Json[]) => Json[]) =>
    edit(path, (value) => {
      const list = make(asList(value));
      return list.length === 0 ? undefined : list;
    });
  const add = (item: JsonObject, open = true) => {
    change((list) => [...list, item]);
    setSearch('');
    setFaulty(false);
    setPage(Math.ceil((items.length + 1) / shownAtOnce));
    if (open) setOpened({ at: items.length, before: undefined });
  };
  const remove = (at: number) => {
    const item = items[at];
    if (!item) return;
    change((list) => list.toSpliced(at, 1));
    undoable(`${named(item)} was removed`, () => change((list) => list.toSpliced(at, 0, item)));
  };
  const named = (item: JsonObject): string => name(item) || `The ${one} without a name`;
  const move = (from: number, to: number) => change((list) => moved(list, from, to));
  const itemSchema = schemaAt(schema, `${path}[]`);
  const fresh = props.fresh ?? (() => blank(itemSchema ?? {}));
  const rowOf = (key: string | number) => rows.find((r) => r.key === key);
  const called = (key: string | number): string => named(rowOf(key)?.item ?? {});
  const place = (key: string | number): string => `place ${(rowOf(key)?.at ?? 0) + 1} of ${items.length}`;
  const picked = rows.filter((r) => chosen.has(r.key));

  return (
    <div>
      {own.length > 0 && (
        <HelperText isLiveRegion>
          {own.map((e) => (
            <HelperTextItem key={e.message} variant="error">
              {e.message}
            </HelperTextItem>
          ))}
        </HelperText>
      )}
      <Toolbar inset={{ default: 'insetNone' }}>
        <ToolbarContent>
          {items.length >= searched && (
            <ToolbarItem>
              <SearchInput
                aria-label={`Search ${label}`}
                placeholder="Search"
                value={search}
                onChange={(_, v) => {
                  setSearch(v);
                  setPage(1);
                }}
                onClear={() => setSearch('')}
              />
            </ToolbarItem>
          )}
          {readOnly === undefined && (
            <ToolbarItem>
              {adder ? (
                adder(add)
              ) : (
                <Button variant="secondary" icon={<PlusCircleIcon />} id={inputId(path)} onClick={() => add(fresh())}>
                  Add {one}
                </Button>
              )}
            </ToolbarItem>
          )}
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
        readOnly === undefined &&
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
          accessibility={{
            announcements: {
              onDragStart: ({ active }) => `${called(active.id)} is picked up, ${place(active.id)}.`,
              onDragOver: ({ active, over }) => (over ? `${called(active.id)} is over ${place(over.id)}.` : undefined),
              onDragEnd: ({ active, over }) =>
                over ? `${called(active.id)} was put at ${place(over.id)}.` : undefined,
              onDragCancel: ({ active }) => `${called(active.id)} stays where it was.`,
            },
          }}
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
                {several && readOnly === undefined && (
                  <Th
                    aria-label={`Choose all ${inSentence(label)}`}
                    select={{
                      isSelected: rows.length > 0 && rows.every((r) => chosen.has(r.key)),
                      onSelect: (_, on) => setChosen(new Set(on ? rows.map((r) => r.key) : [])),
                    }}
                  />
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
              <SortableContext items={shown.map((r) => r.key)} strategy={verticalListSortingStrategy}>
                {shown.map(({ item, at, key }) => (
                  <ItemRow
                    key={key}
                    id={key}
                    at={at}
                    count={items.length}
                    path={`${path}[${at}]`}
                    item={item}
                    name={named(item)}
                    columns={columns}
                    onOpen={() => setOpened({ at, before: item })}
                    onMove={movable ? move : undefined}
                    onRemove={readOnly === undefined ? () => remove(at) : undefined}
                    chosen={several && readOnly === undefined ? chosen.has(key) : undefined}
                    onChoose={(on) => setChosen(new Set(on ? [...chosen, key] : [...chosen].filter((k) => k !== key)))}
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
          title={opened.before === undefined ? `New ${one}` : named(opened.before)}
          path={`${path}[${opened.at}]`}
          onDone={() => setOpened(undefined)}
          onCancel={() => {
            const { at, before } = opened;
            setOpened(undefined);
            if (readOnly !== undefined) return;
            change((list) => (before === undefined ? list.toSpliced(at, 1) : list.with(at, before)));
          }}
        >
          {fields(`${path}[${opened.at}]`)}
        </ItemDialog>
      )}
    </div>
  );
}
