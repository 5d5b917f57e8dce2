/** Small charts, drawn without a library; each says in words what it shows. */
import { percent } from './words';

const WIDTH = 240;

/** Amounts side by side. */
export function Bars({ values, label }: { values: number[]; label: string }) {
  const most = Math.max(1, ...values);
  const step = 120 / values.length;
  return (
    <svg class="bars" viewBox="0 0 120 24" width="120" height="24" role="img" aria-label={label}>
      {values.map((value, index) => {
        const height = value ? Math.max(1.5, (value / most) * 23) : 0.5;
        return <rect key={index} x={index * step} y={24 - height} width={step - 1} height={height} />;
      })}
    </svg>
  );
}

/** Shares from 0 to 1, one for each month. */
export function Line({ points }: { points: { name: string; value: number }[] }) {
  const x = (index: number) => (points.length === 1 ? WIDTH / 2 : 8 + (index * (WIDTH - 16)) / (points.length - 1));
  const y = (value: number) => 6 + (1 - value) * 58;
  const first = points[0];
  const last = points.at(-1);
  const label = points.map((point) => `${point.name} ${percent(point.value)}`).join(', ');
  return (
    <svg class="line" viewBox={`0 0 ${WIDTH} 84`} role="img" aria-label={label}>
      {[0, 0.5, 1].map((value) => (
        <line key={value} class="grid" x1="0" x2={WIDTH} y1={y(value)} y2={y(value)} />
      ))}
      <polyline points={points.map((point, index) => `${x(index)},${y(point.value)}`).join(' ')} />
      {points.map((point, index) => (
        <circle key={point.name} cx={x(index)} cy={y(point.value)} r="3.5">
          <title>{`${point.name}: ${percent(point.value)}`}</title>
        </circle>
      ))}
      {first && <text x="0" y="80">{first.name}</text>}
      {last && last !== first && <text x={WIDTH} y="80" text-anchor="end">{last.name}</text>}
      {last && <text x={Math.min(x(points.length - 1), WIDTH - 30)} y={y(last.value) > 30 ? y(last.value) - 8 : y(last.value) + 18} text-anchor="middle">{percent(last.value)}</text>}
    </svg>
  );
}

/** How each month's values spread over the bins: the wider the mark, the greater its share. */
export function Share({ columns }: { columns: { name: string; bins: Record<string, number> }[] }) {
  const bins = [...new Set(columns.flatMap((column) => Object.keys(column.bins)))].sort(byEdge);
  const shown = columns.slice(-12);
  return (
    <table class="share">
      <thead>
        <tr>
          <td />
          {shown.map((column) => (
            <th scope="col" key={column.name}>
              {column.name.slice(2)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {bins.map((bin) => (
          <tr key={bin}>
            <th scope="row">{bin}</th>
            {shown.map((column) => (
              <td key={column.name}>
                <Part share={shareOf(column.bins, bin)} />
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Part({ share }: { share: number }) {
  return (
    <svg viewBox="0 0 40 14" width="40" height="14" role="img" aria-label={percent(share)}>
      <title>{percent(share)}</title>
      <rect x="0" y="2" width={share ? Math.max(1, share * 40) : 0} height="10" />
    </svg>
  );
}

function shareOf(bins: Record<string, number>, bin: string): number {
  const total = Object.values(bins).reduce((sum, count) => sum + count, 0);
  return total ? (bins[bin] ?? 0) / total : 0;
}

function byEdge(one: string, other: string): number {
  const [a, b] = [Number.parseFloat(one), Number.parseFloat(other)];
  return Number.isNaN(a) || Number.isNaN(b) ? one.localeCompare(other) : a - b;
}
