/** Tools and windows, and what is shown over the image. */
import type { Tool } from './gestures';
import { segmentKey } from './mask-layer';
import { Menu } from './menu';
import { CT_PRESETS } from './presets';
import type { Reading } from './reading';
import { isVolume } from './series';

const TOOLS: readonly (readonly [Tool, string, string])[] = [
  ['window', 'Window', 'Drag changes the window'],
  ['scroll', 'Scroll', 'Drag scrolls through the images'],
  ['zoom', 'Zoom', 'Drag zooms; so does the right button'],
  ['pan', 'Pan', 'Drag moves the image; so does the middle button'],
];

export function Toolbar({ reading }: { reading: Reading }) {
  const pane = reading.main;
  const mpr = reading.mpr.value;
  if (pane.series.value?.kind === 'document') return null;
  return (
    <div class="toolbar" role="toolbar" aria-label="Image">
      {(mpr ? TOOLS.filter(([tool]) => tool !== 'scroll') : TOOLS).map(([tool, name, hint]) => (
        <button
          type="button"
          key={tool}
          title={hint}
          aria-pressed={reading.tool.value === tool}
          onClick={() => (reading.tool.value = reading.tool.value === tool ? null : tool)}
        >
          {name}
        </button>
      ))}
      <Presets reading={reading} />
      {!mpr && (
        <button type="button" aria-pressed={pane.inverted.value} title="I" onClick={() => pane.view?.invert()}>
          Invert
        </button>
      )}
      <button type="button" title="F" onClick={() => reading.fit()}>
        Fit
      </button>
      {!mpr && pane.frames.value.length > 1 && (
        <button type="button" aria-pressed={pane.playing.value} title="Space" onClick={() => pane.play()}>
          Cine
        </button>
      )}
      <button
        type="button"
        aria-pressed={reading.marks.value}
        title="M"
        onClick={() => (reading.marks.value = !reading.marks.value)}
      >
        Marks
      </button>
      <MaskChoice reading={reading} />
      <Compare reading={reading} />
      {(mpr || isVolume(pane.frames.value)) && (
        <button
          type="button"
          aria-pressed={reading.mpr.value}
          title="Axial, sagittal and coronal planes"
          onClick={() => (reading.mpr.value = !reading.mpr.value)}
        >
          MPR
        </button>
      )}
    </div>
  );
}

function Presets({ reading }: { reading: Reading }) {
  const pane = reading.main;
  const file = pane.windows.value.map((each) => ({ name: each.name, window: each }));
  const presets = [...file, ...(pane.series.value?.modality === 'CT' ? CT_PRESETS : [])];
  return (
    <label class="inline">
      <span class="hidden">Window preset</span>
      <select
        value=""
        onChange={(event) => {
          const chosen = presets[Number(event.currentTarget.value)];
          if (event.currentTarget.value === 'reset') pane.resetWindow();
          else if (chosen) pane.setWindow(chosen.window);
          event.currentTarget.value = '';
        }}
      >
        <option value="" disabled>
          Presets
        </option>
        <option value="reset">As at first</option>
        {presets.map((preset, index) => (
          <option key={index} value={index}>
            {preset.name} ({preset.window.width} / {preset.window.center})
          </option>
        ))}
      </select>
    </label>
  );
}

function MaskChoice({ reading }: { reading: Reading }) {
  if (!reading.segments.value.length) return null;
  const toggle = (key: string) => {
    const hidden = new Set(reading.hidden.value);
    if (!hidden.delete(key)) hidden.add(key);
    reading.hidden.value = hidden;
  };
  return (
    <Menu name="Masks">
      <label class="inline">
        Opacity
        <input
          type="range"
          min={0}
          max={1}
          step={0.05}
          value={reading.opacity.value}
          onInput={(event) => (reading.opacity.value = Number(event.currentTarget.value))}
        />
      </label>
      {reading.segments.value.map((segment) => (
        <label class="inline" key={segmentKey(segment)}>
          <input
            type="checkbox"
            checked={!reading.hidden.value.has(segmentKey(segment))}
            onChange={() => toggle(segmentKey(segment))}
          />
          <span class="swatch" style={{ background: segment.colour }} /> {segment.label}
        </label>
      ))}
    </Menu>
  );
}

function Compare({ reading }: { reading: Reading }) {
  return (
    <button
      type="button"
      aria-pressed={reading.comparing.value}
      title="Another study or series beside this one"
      onClick={() => (reading.comparing.value = !reading.comparing.value)}
    >
      Compare
    </button>
  );
}
