import type { HomeView } from '@slack/types'
import type { Incident } from '../../domain/incident.ts'
import { moment } from '../text.ts'
import { bold, header, lines, said } from './blocks.ts'
import { status } from './root.ts'

/** The Home tab: the open incidents and what each waits for. */
export function home(incidents: readonly Incident[]): HomeView {
  const rows = incidents.slice(0, 40).map((i) => {
    const { words, next } = status(i)
    return lines([bold(i.title, 200)], [words, next ? `. Next: ${next}` : '', ', opened ', moment(i.openedAt, '{ago}')])
  })
  return { type: 'home', blocks: [header('Open incidents'), ...(rows.length > 0 ? rows : [said('None.')])] }
}
