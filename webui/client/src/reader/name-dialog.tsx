/** Asks who reads. */
import { useState } from 'preact/hooks';
import { Dialog } from './dialog';
import { asking, reviewer } from './reviewer';

export function NameDialog() {
  const answer = asking.value;
  const [family, setFamily] = useState(reviewer.value.split('^')[0] ?? '');
  const [given, setGiven] = useState(reviewer.value.split('^')[1] ?? '');
  if (!answer) return null;
  const submit = (event: Event) => {
    event.preventDefault();
    const name = [family, given].map((part) => part.trim().replaceAll(/[\\^=]/g, ' ')).filter(Boolean).join('^');
    if (name) answer(name);
  };
  return (
    <Dialog title="Who reads?" onClose={() => asking.value?.(null)}>
      <p>Your name stands beside every verdict, and in the report that you sign. It is kept in this browser.</p>
      <form class="edit" onSubmit={submit}>
        <label class="field">
          <span>Family name</span>
          <input required maxLength={40} autoFocus value={family} onInput={(event) => setFamily(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>Given name</span>
          <input maxLength={20} value={given} onInput={(event) => setGiven(event.currentTarget.value)} />
        </label>
        <button type="submit" class="primary">
          This is me
        </button>
      </form>
    </Dialog>
  );
}
