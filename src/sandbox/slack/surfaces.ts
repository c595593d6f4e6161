import type { Json } from './state.ts'

/** Where blocks are shown: a message, a modal, or the Home tab. */
export type Surface = 'message' | 'modal' | 'home'

const EVERYWHERE = ['actions', 'context', 'divider', 'header', 'image', 'input', 'rich_text', 'section', 'video']

/**
 * The block types that each surface takes, from the surfaces that Slack's page of each block names; where those say
 * more than others saw work (cards in modals, tables in the Home tab), or differ, it is left out here. `file` comes from Slack alone.
 */
export const BLOCKS_OF: Readonly<Record<Surface, readonly string[]>> = {
  message: [
    ...EVERYWHERE,
    'card',
    'carousel',
    'container',
    'context_actions',
    'data_table',
    'markdown',
    'plan',
    'table',
    'task_card',
  ],
  modal: [...EVERYWHERE, 'alert'],
  home: [...EVERYWHERE, 'card', 'carousel'],
}

/** Elements that not every surface takes; all others may stand wherever their block may. */
const ELEMENTS_OF: Readonly<Record<string, readonly Surface[]>> = {
  datetimepicker: ['message', 'modal'],
  email_text_input: ['modal'],
  feedback_buttons: ['message'],
  file_input: ['modal'],
  icon_button: ['message'],
  number_input: ['modal'],
  rich_text_input: ['modal', 'home'],
  url_text_input: ['modal'],
  workflow_button: ['message'],
}

/** Reports each element that the surface does not take, however deep it stands. */
export function checkElements(
  blocks: readonly unknown[],
  surface: Surface,
  pointer: string,
  report: (message: string, pointer: string) => void,
): void {
  const walk = (node: unknown, where: string): void => {
    if (typeof node !== 'object' || node === null) return
    const allowed = ELEMENTS_OF[String((node as Json).type)]
    if (allowed && !allowed.includes(surface))
      report(`unsupported element in a ${surface}: ${(node as Json).type}`, `${where}/type`)
    for (const [key, value] of Object.entries(node)) walk(value, `${where}/${key}`)
  }
  blocks.forEach((block, index) => {
    walk(block, `${pointer}/${index}`)
  })
}
