/** The processes of the system, each as it said last that it runs. */
import type { Operations, Part } from './data';
import { ago } from './words';

export function Parts({ told }: { told: Operations }) {
  if (!told.parts.length) return <p class="quiet">No part has said that it runs.</p>;
  return (
    <table class="plain cards">
      <thead>
        <tr>
          <th scope="col">Part</th>
          <th scope="col">State</th>
          <th scope="col">Version</th>
          <th scope="col">Machine</th>
          <th scope="col">Started</th>
          <th scope="col">Last heard</th>
        </tr>
      </thead>
      <tbody>
        {told.parts.map((part) => (
          <PartRow key={`${part.host} ${part.pid} ${part.name} ${part.started_at}`} part={part} current={told.version} />
        ))}
      </tbody>
    </table>
  );
}

function PartRow({ part, current }: { part: Part; current: string }) {
  return (
    <tr>
      <td>
        <b>{part.name}</b>
      </td>
      <td data-label="State">{part.silent ? <span class="reason">✕ Silent</span> : <span class="runs">● Runs</span>}</td>
      <td data-label="Version">
        {part.version}
        {part.version !== current && <span class="quiet">this web server has {current}</span>}
      </td>
      <td data-label="Machine">
        {part.host} <span class="quiet-inline">process {part.pid}</span>
      </td>
      <td data-label="Started">{ago(part.started_at)}</td>
      <td data-label="Last heard">{ago(part.beat_at)}</td>
    </tr>
  );
}
