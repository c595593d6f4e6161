import { switchTo } from './set-paused.ts'

/** Resumes a DAG; a backfill only while no critical DAG runs or is due. */
export const resumeDag = switchTo(false)
