import { yaml } from '@codemirror/lang-yaml';
import { lintGutter, setDiagnostics, type Diagnostic } from '@codemirror/lint';
import { Compartment, EditorState } from '@codemirror/state';
import { basicSetup, EditorView } from 'codemirror';
import { useEffect, useEffectEvent, useRef, useState } from 'react';
import type { FieldError } from '../api/problem';
import { useDark } from '../app/theme';
import { linesOf } from '../document/yaml';
import { codeStyle, styleNonce } from './codeStyle';
import type { DocumentEditorProps } from './DocumentEditor';

function marks(state: EditorState, faults: FieldError[], severity: Diagnostic['severity']): Diagnostic[] {
  const found = linesOf(
    state.doc.toString(),
    faults.map((f) => f.path),
  );
  return faults.map((f, i) => {
    const line = state.doc.line(Math.min(Math.max(f.line ?? found[i] ?? 1, 1), state.doc.lines));
    const indent = line.text.length - line.text.trimStart().length;
    const message = f.path === '' ? f.message : `${f.path}: ${f.message}`;
    return { from: line.from + indent, to: line.to, severity, message };
  });
}

/**
 * What is typed over a selection is put there by the editor. A browser would keep
 * the colours of what it replaces as inline style, which the content policy forbids.
 */
const typedOver = EditorView.domEventHandlers({
  beforeinput: (event, view) => {
    const { data, inputType, isComposing } = event;
    const { from, to, empty } = view.state.selection.main;
    if (inputType !== 'insertText' || data === null || isComposing || empty || view.state.readOnly) return false;
    const insert = () =>
      view.state.update(view.state.replaceSelection(data), { userEvent: 'input.type', scrollIntoView: true });
    // Brackets are put around a selection, for one.
    const taken = view.state.facet(EditorView.inputHandler).some((take) => take(view, from, to, data, insert));
    if (!taken) view.dispatch(insert());
    event.preventDefault();
    return true;
  },
});

/** The editor itself; DocumentEditor loads it. Tab leaves it, as it leaves any field. */
export function CodeEditor({
  value,
  onChange,
  errors,
  warnings,
  label,
  readOnly = false,
  language = 'yaml',
}: DocumentEditorProps) {
  const place = useRef<HTMLDivElement>(null);
  const [view, setView] = useState<EditorView | null>(null);
  const dark = useDark();
  const [look] = useState(() => new Compartment());
  const [writing] = useState(() => new Compartment());
  const tell = useEffectEvent((now: string) => onChange?.(now));
  const text = useRef(value);

  useEffect(() => {
    if (!place.current) return undefined;
    const made = new EditorView({
      parent: place.current,
      doc: text.current,
      extensions: [
        styleNonce(),
        basicSetup,
        language === 'yaml' ? yaml() : [],
        lintGutter(),
        EditorView.lineWrapping,
        EditorState.tabSize.of(2),
        look.of([]),
        writing.of([]),
        typedOver,
        EditorView.updateListener.of((u) => {
          if (!u.docChanged) return;
          const now = u.state.doc.toString();
          if (now === text.current) return;
          text.current = now;
          tell(now);
        }),
      ],
    });
    setView(made);
    return () => made.destroy();
  }, [language, look, writing]);

  useEffect(() => {
    view?.dispatch({ effects: look.reconfigure(codeStyle(dark)) });
  }, [view, look, dark]);

  useEffect(() => {
    view?.dispatch({
      effects: writing.reconfigure([
        EditorState.readOnly.of(readOnly),
        // Who only reads still goes through it with the keyboard.
        EditorView.contentAttributes.of({ 'aria-label': label, 'aria-readonly': String(readOnly), tabindex: '0' }),
      ]),
    });
  }, [view, writing, readOnly, label]);

  useEffect(() => {
    if (!view || value === text.current) return;
    text.current = value;
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: value } });
  }, [view, value]);

  useEffect(() => {
    if (!view) return;
    const all = [...marks(view.state, errors ?? [], 'error'), ...marks(view.state, warnings ?? [], 'warning')];
    view.dispatch(setDiagnostics(view.state, all));
  }, [view, errors, warnings]);

  return <div ref={place} dir="ltr" />;
}
