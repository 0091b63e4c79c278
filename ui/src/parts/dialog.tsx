import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

/** Something to be confirmed before it is done. */
export interface Question {
  readonly title: string;
  readonly text: string;
  readonly verb: string;
  /** What has to be typed first: for what cannot be taken back. */
  readonly typed?: string;
  /** A text to be asked for. */
  readonly input?: { readonly label: string; readonly long?: boolean; readonly value?: string };
  readonly danger?: boolean;
  readonly onYes: (text: string) => void | Promise<void>;
}

const question = signal<Question | undefined>(undefined);

export function ask(next: Question): void {
  question.value = next;
}

/** A dialog of the browser: it keeps the focus, and Escape closes it. */
export function Dialog({
  label,
  onClose,
  children,
  wide = false,
}: {
  readonly label: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  readonly wide?: boolean;
}) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={element}
      class={wide ? 'wide' : ''}
      aria-label={label}
      onClose={onClose}
      onClick={(event) => event.target === element.current && onClose()}
    >
      {children}
    </dialog>
  );
}

/** The one question that is open, if there is one. */
export function Questions() {
  const open = question.value;
  if (open === undefined) return null;
  return <QuestionDialog key={open.title} open={open} />;
}

function QuestionDialog({ open }: { readonly open: Question }) {
  const [typed, setTyped] = useState('');
  const [text, setText] = useState(open.input?.value ?? '');
  const close = () => (question.value = undefined);
  const ready = open.typed === undefined || typed === open.typed;
  const submit = (event: Event) => {
    event.preventDefault();
    if (!ready) return;
    close();
    void open.onYes(text);
  };
  return (
    <Dialog label={open.title} onClose={close} wide={open.input?.long === true}>
      <form onSubmit={submit}>
        <h2>{open.title}</h2>
        <p>{open.text}</p>
        {open.input !== undefined && (
          <label class="field">
            {open.input.label}
            {open.input.long === true ? (
              <textarea
                class="mono"
                rows={14}
                value={text}
                spellcheck={false}
                onInput={(event) => setText(event.currentTarget.value)}
              />
            ) : (
              <input value={text} onInput={(event) => setText(event.currentTarget.value)} />
            )}
          </label>
        )}
        {open.typed !== undefined && (
          <label class="field">
            <span>
              Type <b class="mono">{open.typed}</b> to go on
            </span>
            <input
              value={typed}
              autocomplete="off"
              onInput={(event) => setTyped(event.currentTarget.value)}
            />
          </label>
        )}
        <footer>
          <button type="button" class="quiet" onClick={close}>
            Back
          </button>
          <button type="submit" class={open.danger === true ? 'danger' : 'primary'} disabled={!ready}>
            {open.verb}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
