/** Windows that readers know by name (center and width in HU). */
import type { Window } from './viewer';

export const CT_PRESETS: readonly { name: string; window: Window }[] = [
  { name: 'Lung', window: { center: -600, width: 1500 } },
  { name: 'Soft tissue', window: { center: 40, width: 400 } },
  { name: 'Bone', window: { center: 300, width: 1500 } },
  { name: 'Brain', window: { center: 40, width: 80 } },
  { name: 'Liver', window: { center: 60, width: 160 } },
];
