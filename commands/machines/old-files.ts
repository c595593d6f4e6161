import { type ReadContext, Refused } from '../../src/domain/command.ts'
import { machines } from './connection.ts'
import { look, MOVED } from './send.ts'
import { enter, quote } from './shell.ts'

/** Files of one machine from before a time. `hash` stands for all of them: path, size and time. */
export type Old = Readonly<{ files: number; bytes: number; hash: string; oldest: string; sample: readonly string[] }>

/** No links are followed, and no other disk is entered. */
export const findOld = (folder: string, before: string): string =>
  `find ${quote(folder)} -xdev -type f ! -newermt ${quote(before)}`

/** Names what would be deleted, in one number: path, size and time of every file. */
const hashed = (folder: string, before: string): string =>
  `${findOld(folder, before)} -printf '%s %T@ %P\\0' | LC_ALL=C sort -z | sha256sum | cut -c 1-64`

const lookScript = (folder: string, before: string): string[] => [
  'set -e',
  ...enter(folder),
  hashed(folder, before),
  `${findOld(folder, before)} -printf '%s %TY-%Tm-%TdT%TH:%TM\\n' | LC_ALL=C awk '{ n++; b += $1; if (n == 1 || $2 < o) o = $2 } END { printf "%d %.0f %s\\n", n, b, o }'`,
  `${findOld(folder, before)} -printf '%P\\n' | LC_ALL=C sort | head -n 5`,
]

/** Looks and deletes in one go, so that nothing is deleted which is not what was shown. */
export const deleteScript = (folder: string, before: string, hash: string): string[] => [
  'set -e',
  ...enter(folder),
  `[ "$(${hashed(folder, before)})" = ${quote(hash)} ] || { echo "the old files below $F are not those that were shown" >&2; exit ${MOVED}; }`,
  `${findOld(folder, before)} -delete`,
]

/** The old files below a folder on each machine. Refused where there is no such folder. */
export async function oldOn(
  connection: string,
  instances: readonly string[],
  folder: string,
  before: string,
  ctx: ReadContext,
): Promise<Map<string, Old>> {
  const { client, settings } = await ctx.connect(machines, connection)
  const order = { instances, script: lookScript(folder, before) }
  const results = await look(client, settings, order, ctx.signal)
  return new Map(
    [...results].map(([instance, { status, out, err }]) => {
      if (status !== 'Success') throw new Refused(`${instance} ended with ${status}: ${err.trim().slice(-300)}`)
      const [hash = '', counts = '', ...sample] = out.trimEnd().split('\n')
      const [files = '0', bytes = '0', oldest = ''] = counts.split(' ')
      const shown = sample.map((path) => path.replace(/[\p{Cc}]+/gu, '?').slice(0, 100))
      return [instance, { files: Number(files), bytes: Number(bytes), hash, oldest, sample: shown }]
    }),
  )
}
