/** The first line: does it answer, how much is kept, is there room. */
import { operations, running, volume } from './data';
import { amount, bytes, counted, percent } from './words';

const FEW = 0.1;

export function Health() {
  const told = operations.value.value;
  const work = running.value.value;
  return (
    <div class="tiles">
      {told && (
        <Tile
          title="Database and objects"
          value={told.trouble ? '✕ In trouble' : '● Answer'}
          wrong={told.trouble !== null}
          detail={told.trouble ?? `Isocenter ${told.version}`}
        />
      )}
      {work && (
        <Tile
          title="Work items"
          value={`${amount(work.counts['IN PROGRESS'])} running`}
          detail={`${amount(work.counts.SCHEDULED)} wait, ${amount(work.counts.COMPLETED)} completed`}
        />
      )}
      <Stored />
      {told?.disks.map((disk) => (
        <Tile
          key={disk.holds}
          title={`Disk of ${disk.holds}`}
          value={`${bytes(disk.free)} free`}
          wrong={disk.free < FEW * disk.total}
          detail={`${percent(1 - disk.free / disk.total)} of ${bytes(disk.total)} used`}
        />
      ))}
    </div>
  );
}

function Stored() {
  const told = volume.value.value;
  if (!told) return null;
  return (
    <Tile
      title="Stored"
      value={bytes(told.bytes)}
      detail={`${counted(told.study, 'study', 'studies')}, ${counted(told.instance, 'object', 'objects')}`}
    />
  );
}

function Tile(props: { title: string; value: string; detail: string; wrong?: boolean }) {
  return (
    <div class={props.wrong ? 'tile wrong-tile' : 'tile'}>
      <p class="quiet">{props.title}</p>
      <p class="tile-value">{props.value}</p>
      <p class="quiet">{props.detail}</p>
    </div>
  );
}
