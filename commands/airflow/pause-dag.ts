import { switchTo } from './set-paused.ts'

/** Pauses a DAG; what runs goes on to its end. */
export const pauseDag = switchTo(true)
