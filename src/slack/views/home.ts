import type { HomeView } from '@slack/types'
import { type Freeze, freezeSentence } from '../../domain/freeze.ts'
import type { Incident } from '../../domain/incident.ts'
import { cut, moment } from '../text.ts'
import { actions, bold, button, header, lines, notice, said } from './blocks.ts'
import { status } from './root.ts'

/** The Home tab: the kill switch first, then what keeps Keyturn from working, then the open incidents, the newest first, and what each waits for. */
export function home(
  incidents: readonly Incident[],
  frozen: Freeze | null,
  troubles: readonly string[] = [],
): HomeView {
  const newestFirst = incidents.toSorted((a, b) => b.openedAt.localeCompare(a.openedAt))
  const rows = newestFirst.slice(0, 40).map((i) => {
    const { words, next } = status(i)
    return lines([bold(i.title, 200)], [words, ', opened ', moment(i.openedAt, '{ago}'), next ? `. Next: ${next}` : ''])
  })
  const toggle = frozen
    ? [notice('error', freezeSentence(frozen)), actions(button('Lift the freeze', { kind: 'freeze', verb: 'thaw' }))]
    : [actions(button('Freeze everything', { kind: 'freeze', verb: 'freeze' }, 'danger'))]
  const broken = troubles.slice(0, 10).map((sentence) => notice('warning', cut(sentence, 500)))
  return {
    type: 'home',
    blocks: [...toggle, ...broken, header('Open incidents'), ...(rows.length > 0 ? rows : [said('None.')])],
  }
}
