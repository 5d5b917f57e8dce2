/** Another label, other values, another place; or a finding that no model made. */
import { useState } from 'preact/hooks';
import { type Corrected, type Finding, type Measurement, standing } from './findings';
import type { Reading } from './reading';

interface Props {
  reading: Reading;
  finding?: Finding;
  /** Called when the form goes, saved or not. */
  onClose: () => void;
}

export function EditForm({ reading, finding, onClose }: Props) {
  const before = finding ? standing(finding) : { label: '', measurements: [], region: null };
  const [label, setLabel] = useState(before.label);
  const [values, setValues] = useState(before.measurements.map((each) => String(each.value)));
  const [comment, setComment] = useState('');
  const [wrong, setWrong] = useState('');
  const draft = reading.draft.value;
  const names = [...new Set(reading.findings.value.map((each) => each.label))];

  const close = () => {
    reading.stopEditing();
    onClose();
  };
  const submit = async (event: Event) => {
    event.preventDefault();
    const measurements = before.measurements.map((each, index): Measurement => {
      return { name: each.name, unit: each.unit, value: Number(values[index]) };
    });
    if (!label.trim()) return setWrong('A finding needs a name.');
    if (measurements.some((each) => !Number.isFinite(each.value))) return setWrong('A value is no number.');
    const said = comment ? { comment } : {};
    if (!finding) {
      const series = reading.main.series.value;
      if (!series) return;
      const added = { series_uid: series.uid, label: label.trim(), ...said, ...(draft && { region: draft }) };
      if (await reading.add(added)) close();
      return;
    }
    const corrected: Corrected = {};
    if (label.trim() !== before.label) corrected.label = label.trim();
    const changed = measurements.filter((each, index) => each.value !== before.measurements[index]?.value);
    if (changed.length) corrected.measurements = changed;
    if (draft && JSON.stringify(draft) !== JSON.stringify(before.region)) corrected.region = draft;
    if (!Object.keys(corrected).length) return setWrong('Nothing is different yet.');
    if (await reading.judge(finding, { verdict: 'correct', corrected, ...said })) close();
  };

  return (
    <form class="edit" onSubmit={(event) => void submit(event)} aria-label={finding ? 'Correct' : 'Add a finding'}>
      <label class="field">
        <span>Finding</span>
        <input
          value={label}
          list="labels"
          maxLength={64}
          autoFocus
          onInput={(event) => setLabel(event.currentTarget.value)}
        />
      </label>
      <datalist id="labels">
        {names.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      {before.measurements.map((each, index) => (
        <label class="field" key={index}>
          <span>
            {each.name} {each.detail} ({each.unit})
          </span>
          <input
            inputMode="decimal"
            value={values[index] ?? ''}
            onInput={(event) => {
              const now = event.currentTarget.value.replace(',', '.');
              setValues(values.map((value, at) => (at === index ? now : value)));
            }}
          />
        </label>
      ))}
      <p class="quiet">
        {draft ? `Place: ${draft.kind} on the image; press or drag on the image to change it.` : 'Press on the image to set a point, or drag a box.'}
      </p>
      <label class="field">
        <span>Comment</span>
        <input value={comment} maxLength={1000} onInput={(event) => setComment(event.currentTarget.value)} />
      </label>
      {wrong && (
        <p class="wrong" role="alert">
          {wrong}
        </p>
      )}
      <div class="judge">
        <button type="submit" class="primary" disabled={reading.busy.value}>
          Save
        </button>
        <button type="button" onClick={close}>
          Cancel
        </button>
      </div>
    </form>
  );
}
