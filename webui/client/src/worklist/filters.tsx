/** What is looked for. Every change is in the address, so that a search can be kept as a bookmark. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { getJson } from '../http';
import { type Filter, filters, type Label, setFilters } from './data';

const TYPING_MS = 250;
const MODALITIES = ['CR', 'CT', 'DX', 'MG', 'MR', 'NM', 'OT', 'PT', 'RF', 'SR', 'US', 'XA'];
const STATES = [
  ['found', 'Something found'],
  ['nothing', 'Nothing found'],
  ['running', 'Models running'],
  ['refused', 'Not suitable'],
  ['failed', 'Failed'],
  ['no model', 'No model'],
] as const;

const REVIEWS = [
  ['open', 'To judge'],
  ['judged', 'Judged, not signed'],
  ['signed', 'Signed'],
  ['nothing', 'Nothing to judge'],
] as const;

export function Filters() {
  const [labels, setLabels] = useState<Label[]>([]);
  const [open, setOpen] = useState(() => [...filters.value].some(([name, value]) => name !== 'patient' && value));
  useEffect(() => {
    getJson<Label[]>('/api/worklist/findings').then(setLabels, () => setLabels([]));
  }, []);
  const asked = [...filters.value].filter(([name, value]) => value && name !== 'patient').length;
  return (
    <form class="filters" role="search" aria-label="Studies" onSubmit={(event) => event.preventDefault()}>
      <div class="filters-first">
        <TextFilter name="patient" label="Patient" id="search" hint="Name – press / to search" />
        <button type="button" aria-expanded={open} aria-controls="more-filters" onClick={() => setOpen(!open)}>
          Filters{asked ? ` (${asked})` : ''}
        </button>
        {(asked > 0 || filters.value.get('patient')) && (
          <button type="button" onClick={() => setFilters([...filters.value.keys()].map((name) => [name, ''] as const))}>
            Clear
          </button>
        )}
      </div>
      <div class="filters-more" id="more-filters" hidden={!open}>
        <TextFilter name="patient_id" label="Patient ID" />
        <TextFilter name="accession" label="Accession number" />
        <TextFilter name="first_date" label="From" type="date" />
        <TextFilter name="last_date" label="To" type="date" />
        <Choice name="modality" label="Modality" options={MODALITIES.map((each) => [each, each] as const)} />
        <Choice name="finding" label="Finding" options={labels.map((each) => [each.value, each.meaning] as const)} />
        <Choice name="state" label="Models" options={STATES} />
        <Choice name="review" label="Review" options={REVIEWS} />
      </div>
    </form>
  );
}

interface TextProps {
  name: Filter;
  label: string;
  id?: string;
  hint?: string;
  type?: 'search' | 'date';
}

function TextFilter({ name, label, id, hint, type = 'search' }: TextProps) {
  const timer = useRef<number | undefined>(undefined);
  const change = (value: string, wait: number) => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setFilters([[name, value]]), wait);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <label class="field">
      <span>{label}</span>
      <input
        {...(id && { id })}
        {...(hint && { placeholder: hint })}
        type={type as 'search'}
        value={filters.value.get(name) ?? ''}
        maxLength={64}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => change(event.currentTarget.value, type === 'date' ? 0 : TYPING_MS)}
      />
    </label>
  );
}

interface ChoiceProps {
  name: Filter;
  label: string;
  options: readonly (readonly [string, string])[];
}

function Choice({ name, label, options }: ChoiceProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <select value={filters.value.get(name) ?? ''} onChange={(event) => setFilters([[name, event.currentTarget.value]])}>
        <option value="">Any</option>
        {options.map(([value, shown]) => (
          <option key={value} value={value}>
            {shown}
          </option>
        ))}
      </select>
    </label>
  );
}
