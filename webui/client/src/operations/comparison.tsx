/** How the version in shadow differs from the one that runs, on the same images. */
import { useEffect, useState } from 'preact/hooks';
import { getJson } from '../http';
import { Failure, Waiting } from '../states';
import { amount, counted, percent } from './words';

interface Told {
  current: string;
  shadow: string;
  inputs: number;
  compared: number;
  agreement: number | null;
  findings: Record<string, number>;
  presence: { code: { meaning: string }; both: number; only_current: number; only_shadow: number; neither: number }[];
  measurements: { of: string; unit: string; inputs: number; mean: number; mean_absolute: number; largest: number }[];
  seconds: Record<string, Record<string, number>>;
  differing: number;
  examples: { study: string; series: string }[];
}

export function Comparison({ model, shadow }: { model: string; shadow: string }) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Version {shadow} runs in shadow: compare</summary>
      {open && <Compared model={model} />}
    </details>
  );
}

function Compared({ model }: { model: string }) {
  const [told, setTold] = useState<Told | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    getJson<Told>(`/api/models/${encodeURIComponent(model)}/comparison`).then(setTold, setError);
  }, [model]);
  if (error) return <Failure error={error} />;
  if (!told) return <Waiting what="Comparing" />;
  return (
    <>
      <p>
        {amount(told.compared)} of {counted(told.inputs, 'input', 'inputs')} compared; the versions agree on{' '}
        <b>{percent(told.agreement)}</b> of them.
      </p>
      {told.presence.length > 0 && <Presence told={told} />}
      {told.measurements.length > 0 && <Measurements told={told} />}
      <Examples told={told} />
    </>
  );
}

function Presence({ told }: { told: Told }) {
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">Finding</th>
          <th scope="col" class="count">Both</th>
          <th scope="col" class="count">Only {told.current}</th>
          <th scope="col" class="count">Only {told.shadow}</th>
          <th scope="col" class="count">Neither</th>
        </tr>
      </thead>
      <tbody>
        {told.presence.map((each) => (
          <tr key={each.code.meaning}>
            <td>{each.code.meaning}</td>
            <td class="count">{amount(each.both)}</td>
            <td class="count">{amount(each.only_current)}</td>
            <td class="count">{amount(each.only_shadow)}</td>
            <td class="count">{amount(each.neither)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Measurements({ told }: { told: Told }) {
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">{told.shadow} less {told.current}</th>
          <th scope="col" class="count">Mean</th>
          <th scope="col" class="count">Largest</th>
        </tr>
      </thead>
      <tbody>
        {told.measurements.map((each) => (
          <tr key={each.of}>
            <td>
              {each.of} <span class="quiet-inline">{each.unit}</span>
            </td>
            <td class="count">{each.mean.toPrecision(3)}</td>
            <td class="count">{each.largest.toPrecision(3)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const SHOWN = 5;

function Examples({ told }: { told: Told }) {
  if (!told.differing) return null;
  return (
    <p>
      {counted(told.differing, 'input differs', 'inputs differ')}:{' '}
      {told.examples.slice(0, SHOWN).map(({ study, series }, index) => (
        <span key={series}>
          {index > 0 && ', '}
          <a href={`/studies/${study}`}>study {index + 1}</a>
        </span>
      ))}
    </p>
  );
}
