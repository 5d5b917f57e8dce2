/** Who sends how much, and what was refused. */
import { Empty } from '../states';
import { Bars } from './charts';
import type { Operations, Refusal, Sender } from './data';
import { ago, amount, protocolName } from './words';

const DAY_MS = 86_400_000;
const SLACK_MS = 120_000;

export function Arrivals({ told }: { told: Operations }) {
  if (!told.senders.length) {
    return (
      <Empty title="Nothing has arrived in the last day">
        <p>
          Senders appear here with what they bring. <a href="/upload">Upload files</a> from this browser.
        </p>
      </Empty>
    );
  }
  return (
    <>
      <table class="plain cards">
        <thead>
          <tr>
            <th scope="col">From</th>
            <th scope="col">By</th>
            <th scope="col" class="count">Last hour</th>
            <th scope="col" class="count">Last day</th>
            <th scope="col">24 hours</th>
            <th scope="col">Last</th>
          </tr>
        </thead>
        <tbody>
          {told.senders.map((sender) => (
            <SenderRow key={`${sender.protocol} ${sender.peer} ${sender.address}`} sender={sender} />
          ))}
        </tbody>
      </table>
      <Since moment={told.since} />
    </>
  );
}

function SenderRow({ sender }: { sender: Sender }) {
  return (
    <tr>
      <td>
        <b class="peer">{sender.peer || protocolName(sender.protocol)}</b>
        <span class="quiet">{sender.address}</span>
      </td>
      <td data-label="By">{protocolName(sender.protocol)}</td>
      <td class="count" data-label="Last hour">{amount(sender.last_hour)}</td>
      <td class="count" data-label="Last day">{amount(sender.last_day)}</td>
      <td>
        <Bars values={[...sender.hours].reverse()} label={`Objects by hour, at most ${amount(Math.max(...sender.hours))}`} />
      </td>
      <td data-label="Last">{ago(sender.last_at)}</td>
    </tr>
  );
}

function Since({ moment }: { moment: string }) {
  if (Date.now() - Date.parse(moment) >= DAY_MS - SLACK_MS) return null;
  return <p class="quiet">More has come than is looked at: counts are from {ago(moment)} on.</p>;
}

export function Refusals({ refusals }: { refusals: Refusal[] }) {
  if (!refusals.length) return <p class="quiet">Nothing was refused.</p>;
  return (
    <table class="plain cards">
      <thead>
        <tr>
          <th scope="col">Reason</th>
          <th scope="col">From</th>
          <th scope="col">Bytes</th>
          <th scope="col">Last</th>
        </tr>
      </thead>
      <tbody>
        {refusals.map((refusal, index) => (
          <tr key={index}>
            <td>
              {refusal.reason}
              {!refusal.reason.includes(refusal.sop) && <span class="quiet uid">{refusal.sop}</span>}
            </td>
            <td data-label="From">
              {refusal.peer || protocolName(refusal.protocol)} <span class="quiet">{refusal.address}</span>
            </td>
            <td data-label="Bytes">{refusal.kept ? 'kept in quarantine' : 'not kept'}</td>
            <td data-label="Last">
              {ago(refusal.last_at)}
              {refusal.times > 1 && <span class="quiet">{amount(refusal.times)} times</span>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
