/** What goes out by itself: destinations, what waits for them, and what is stuck. */
import { useState } from 'preact/hooks';
import { postJson, Problem } from '../http';
import { type Destination, type Routes as Told, routes, type Shipment } from './data';
import { ago, amount, counted } from './words';

export function Routes({ told }: { told: Told }) {
  if (!told.destinations.length) return <p class="quiet">Nothing is sent on by itself: there is no destination.</p>;
  return (
    <>
      <table class="plain cards">
        <thead>
          <tr>
            <th scope="col">To</th>
            <th scope="col" class="count">Wait</th>
            <th scope="col" class="count">Stuck</th>
            <th scope="col" class="count">Sent</th>
            <th scope="col">Last</th>
          </tr>
        </thead>
        <tbody>
          {told.destinations.map((each) => (
            <Row key={each.destination} destination={each} />
          ))}
        </tbody>
      </table>
      <ul class="items">
        {told.shipments.map((shipment) => (
          <Waiting key={shipment.id} shipment={shipment} />
        ))}
      </ul>
    </>
  );
}

function Row({ destination }: { destination: Destination }) {
  return (
    <tr>
      <td>
        <b class="peer">{destination.destination}</b>
        <span class="quiet">{destination.to ?? 'no longer in the settings'}</span>
      </td>
      <td class="count" data-label="Wait">
        {amount(destination.waiting)}
        {destination.oldest && <span class="quiet">oldest {ago(destination.oldest)}</span>}
      </td>
      <td class="count" data-label="Stuck">{amount(destination.parked)}</td>
      <td class="count" data-label="Sent">{amount(destination.sent)}</td>
      <td data-label="Last">
        {destination.last_sent_at ? ago(destination.last_sent_at) : 'never'}
        {destination.last_reason && <span class="quiet">{destination.last_reason}</span>}
      </td>
    </tr>
  );
}

function Waiting({ shipment }: { shipment: Shipment }) {
  const [said, setSaid] = useState('');
  const act = async (verb: 'retry' | 'drop') => {
    try {
      await postJson(`/api/routes/${shipment.id}/${verb}`, {});
      await routes.ask();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setSaid(error.message);
    }
  };
  const name = `${shipment.destination}, shipment ${shipment.id}`;
  return (
    <li class="item">
      <span class="item-name">
        <b>{shipment.destination}</b> <a href={`/studies/${shipment.study}`}>Study</a>{' '}
        <span class="quiet-inline">
          {amount(shipment.sent)} of {amount(shipment.total)} sent
        </span>
      </span>
      <p class={shipment.state === 'parked' ? 'reason' : 'quiet-inline'}>
        {shipment.state === 'parked' ? '✕ ' : ''}
        {shipment.reason || `waits, queued ${ago(shipment.queued_at)}`}
        {shipment.attempts > 0 && <span class="quiet-inline"> after {counted(shipment.attempts, 'attempt', 'attempts')}</span>}
      </p>
      <span class="act">
        <button type="button" aria-label={`Send now: ${name}`} onClick={() => void act('retry')}>
          Send now
        </button>{' '}
        <button type="button" aria-label={`Give up: ${name}`} onClick={() => void act('drop')}>
          Give up
        </button>
        <span class="wrong" role="alert">
          {said}
        </span>
      </span>
    </li>
  );
}
