/** One pane: the image, what is drawn over it, and what is said of it in its corners. */
import { useEffect, useRef } from 'preact/hooks';
import { type Attributes, day, number, text } from '../dicom';
import { type Tool, listen, surfaceOf } from './gestures';
import { MaskLayer } from './mask-layer';
import { Overlay } from './overlay';
import type { Pane } from './pane';
import { Placeholder } from './placeholder';
import type { Reading } from './reading';
import { ReferenceLine } from './reference-line';
import { seriesUrl } from './series';
import { PaneSides } from './sides';
import { WindowText } from './window-text';

export function PaneView({ pane, reading, name }: { pane: Pane; reading: Reading; name: string }) {
  const series = pane.series.value;
  if (series?.kind === 'document') return <Document url={`${seriesUrl(series)}/rendered`} title={series.description} />;
  return <ImagePane pane={pane} reading={reading} name={name} />;
}

function Document({ url, title }: { url: string; title: string }) {
  return (
    <section class="pane document" aria-label={title || 'Document'}>
      <iframe src={url} title={title || 'Document'} />
      <a href={url} target="_blank" rel="noreferrer">
        Open in a window of its own
      </a>
    </section>
  );
}

function ImagePane({ pane, reading, name }: { pane: Pane; reading: Reading; name: string }) {
  const frame = useRef<HTMLElement>(null);
  const canvas = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const [outer, inner] = [frame.current, canvas.current];
    if (!outer || !inner) return;
    void pane.attach(inner);
    const tool = (touch: boolean): Tool => reading.tool.value ?? (touch ? 'scroll' : 'window');
    const stop = listen(outer, surfaceOf(pane), tool);
    const observer = new ResizeObserver(() => pane.view?.resized());
    observer.observe(inner);
    return () => {
      stop();
      observer.disconnect();
      pane.close();
    };
  }, [pane]);
  const count = pane.frames.value.length;
  return (
    <section
      class="pane"
      ref={frame}
      tabIndex={0}
      aria-label={`${name}: image ${pane.index.value + 1} of ${count}`}
      data-shown={pane.shown.value?.sop}
      data-loaded={pane.loaded.value}
      data-index={pane.index.value}
    >
      <div class="canvas" ref={canvas} />
      <Placeholder pane={pane} />
      {pane.shown.value && <MaskLayer pane={pane} reading={reading} />}
      {pane.shown.value && <Overlay pane={pane} reading={reading} />}
      {reading.comparing.value && <ReferenceLine pane={pane} other={pane === reading.main ? reading.other : reading.main} />}
      <PaneSides pane={pane} />
      <Corners pane={pane} />
      {pane.failure.value && (
        <p class="pane-failure" role="alert">
          {pane.failure.value}
        </p>
      )}
      <Progress pane={pane} />
    </section>
  );
}

function Corners({ pane }: { pane: Pane }) {
  const header = pane.frame.value?.header;
  const count = pane.frames.value.length;
  if (!header) return null;
  return (
    <>
      <p class="corner top-left">
        {text(header, '0008103E')}
        <br />
        {day(text(header, '00080020'))}
      </p>
      <p class="corner bottom-left">
        {!isColour(header) && <WindowText window={pane.window.value} />}
        {pane.inverted.value && ' inverted'}
      </p>
      <p class="corner bottom-right">
        {pane.index.value + 1} / {count}
      </p>
    </>
  );
}

/** Colours are shown as they are: the window does not apply (PS3.3 C.11.2). */
function isColour(header: Attributes): boolean {
  return (number(header, '00280002') ?? 1) > 1 || text(header, '00280004') === 'PALETTE COLOR';
}

function Progress({ pane }: { pane: Pane }) {
  const count = pane.frames.value.length;
  if (count < 2) return null;
  return (
    <div class="slices">
      {pane.loaded.value < count && (
        <progress aria-label="Images loaded" value={pane.loaded.value} max={count} />
      )}
      <input
        type="range"
        aria-label="Image"
        min={0}
        max={count - 1}
        value={pane.index.value}
        onInput={(event) => pane.goTo(Number(event.currentTarget.value))}
        onPointerDown={(event) => event.stopPropagation()}
      />
    </div>
  );
}
