/** Words for rankings that the static table and the page's script share. */
import { axisWords, type Board, type Setting } from './site-data.js';

export const boardName = ({ suite, suiteVersion, model, numerics }: Board): string =>
  `${suite} v${suiteVersion} · ${model}${numerics === 'native' ? '' : ` · ${numerics} numerics`}`;

export const rankingTitle = (setting: Setting, boards: readonly Board[]): string =>
  [
    boardName(boards[setting.board]!),
    setting.protocol,
    setting.control ? 'controls' : (axisWords[setting.axis] ?? setting.axis),
    ...(setting.control || setting.budget === '' ? [] : [`budget ${setting.budget}`]),
  ].join(' · ');
