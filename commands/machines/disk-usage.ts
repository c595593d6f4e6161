import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { ask } from './fleet.ts'
import { outputOf } from './send.ts'
import { enter, quote } from './shell.ts'

const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`

/** Files in all, and those from before `cut` (seconds), which may be cleaned up; then the disk and the folders in it. */
const script = (folder: string, cut: number): string[] => [
  '(',
  ...enter(folder),
  'echo "folder $F"',
  `find "$F" -xdev -type f -printf '%T@ %s\\n' | LC_ALL=C awk -v cut=${cut} '{ n++; b += $2; if ($1 < cut) { m++; c += $2 }; if (n == 1 || $1 < o) o = $1 } END { printf "files %d %.0f %d %.0f %.0f\\n", n, b, m, c, o }'`,
  `df -Pk -- "$F" | LC_ALL=C awk 'NR == 2 { print "disk", $2, $4 }'`,
  `du -xk --max-depth=1 -- "$F" | sort -rn | head -n 6 | sed 's/^/du /'`,
  `) || echo ${quote(`gone ${folder}`)}`,
]

/** Shows how full the disk and the memory of each machine are, by configured folder, and how old the files are. */
export const machinesDiskUsage = defineRead({
  id: 'machines.disk-usage',
  summary: 'Show disk usage by folder, age of the files, and free memory of a group of machines',
  effect: 'read',
  params: z.object({
    connection: z.string().describe('Machines connection'),
    group: z.string().describe('Group, as the connection names it'),
  }),
  async read({ connection, group: name }, ctx) {
    const { answers, environment } = await ask(
      connection,
      name,
      ({ folders }) => {
        const all = Object.entries(folders)
        if (all.length === 0) throw new Refused(`The group "${name}" lists no folders.`)
        const now = Math.floor(ctx.now().getTime() / 1000)
        return [
          `LC_ALL=C awk '/^Mem(Total|Available):/ { print "mem", $2 }' /proc/meminfo`,
          ...all.flatMap(([folder, { keepHours }]) => script(folder, Math.floor(now - keepHours * 3_600))),
          'true',
        ]
      },
      ctx,
    )
    const rows: string[][] = []
    const inside: string[][] = []
    let worst = { used: -1, where: '' }
    for (const one of answers) {
      const { machine } = one
      if (one.result === null) rows.push([machine.name, 'not reached', '', '', '', '', ''])
      if (one.result === null) continue
      const lines = outputOf(one.machine.name, one.result).split('\n')
      const [total = 0, available = 0] = lines.filter((l) => l.startsWith('mem ')).map((l) => Number(l.slice(4)) * 1024)
      let folder = ''
      let files: number[] = []
      for (const line of lines) {
        const [tag, ...rest] = line.trim().split(/\s+/)
        if (tag === 'gone')
          rows.push([machine.name, rest.join(' '), 'no folder, or reached through a link', '', '', '', ''])
        if (tag === 'folder') folder = rest.join(' ')
        if (tag === 'files') files = rest.map(Number)
        if (tag === 'du' && rest[1] !== folder)
          inside.push([machine.name, rest.slice(1).join(' ').slice(0, 200), gib(Number(rest[0]) * 1024)])
        if (tag !== 'disk') continue
        const [size = 0, free = 0] = rest.map((kib) => Number(kib) * 1024)
        const used = size > 0 ? Math.round((1 - free / size) * 100) : 0
        if (used > worst.used) worst = { used, where: `${folder} on ${machine.name}` }
        const [n = 0, bytes = 0, oldN = 0, oldBytes = 0, oldest = 0] = files
        rows.push([
          machine.name,
          folder,
          `${used} % of ${gib(size)}`,
          `${n} files, ${gib(bytes)}`,
          `${oldN} files, ${gib(oldBytes)}`,
          n > 0 ? new Date(oldest * 1000).toISOString() : 'none',
          `${gib(available)} of ${gib(total)}`,
        ])
      }
    }
    return {
      summary: `The fullest disk of ${name} (${environment}) is that of ${worst.where || 'none'}: ${Math.max(0, worst.used)} %.`,
      blocks: [
        {
          type: 'table',
          columns: [
            'Machine',
            'Folder',
            'Disk used',
            'In the folder',
            'Old enough to delete',
            'Oldest file',
            'Memory free',
          ],
          rows: rows.slice(0, 60),
          omitted: Math.max(0, rows.length - 60),
        },
        {
          type: 'table',
          columns: ['Machine', 'Largest folders inside', 'Size'],
          rows: inside.slice(0, 30),
          omitted: Math.max(0, inside.length - 30),
        },
      ],
    }
  },
})
