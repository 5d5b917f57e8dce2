/** The masks of segmentations on the frame that is shown. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { drawMasks, maskOf, type Segment } from './masks';
import type { Pane } from './pane';
import type { Reading } from './reading';
import type { Frame } from './series';

export function segmentKey(segment: Segment): string {
  return `${segment.segmentation} ${segment.number}`;
}

export function MaskLayer({ pane, reading }: { pane: Pane; reading: Reading }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [drawn, setDrawn] = useState<Frame | null>(null);
  const frame = pane.shown.value;
  const shown = reading.segments.value.filter((segment) => !reading.hidden.value.has(segmentKey(segment)));
  const opacity = reading.opacity.value;
  useEffect(() => {
    if (!frame) return;
    let current = true;
    void Promise.allSettled(shown.map((segment) => maskOf(segment, frame))).then((answers) => {
      if (!current || !canvas.current) return;
      const masks = answers.flatMap((answer, index): [Segment, ImageBitmap][] => {
        const segment = shown[index];
        return answer.status === 'fulfilled' && answer.value && segment ? [[segment, answer.value]] : [];
      });
      drawMasks(canvas.current, masks, opacity);
      setDrawn(masks.length ? frame : null);
    });
    return () => {
      current = false;
    };
  }, [frame, opacity, shown.map(segmentKey).join()]);
  const matrix = pane.matrix.value;
  const visible = reading.marks.value && drawn === frame && matrix;
  return (
    <canvas
      class="masks"
      ref={canvas}
      hidden={!visible}
      {...(matrix && { style: { transform: `matrix(${matrix.join()})` } })}
    />
  );
}
