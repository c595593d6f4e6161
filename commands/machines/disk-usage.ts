import { z } from 'zod'
import { defineRead, Refused } from '../../src/domain/command.ts'
import { maskSecrets } from '../mask.ts'
import { ask } from './fleet.ts'
import { saidOf } from './send.ts'
import { enter, quote } from './shell.ts'

const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`

/** Files in all, and those from before `cut` (seconds), which may be cleaned up; then the disk and the folders in it. */
const script = (folder: string, cut: number): string[] => [
  '(',
  ...enter(folder),
  'echo "folder $F"',
  `find "$F" -xdev -type f -printf '%T@ %s\\n' | LC_ALL=C awk -v cut=${cut} '{ n++; b += $2; if ($1 < cut) { m++; c += $2 }; if (n == 1 || $1 < o) o = $1 } END { printf "files %d %.0f %d %.0f %.0f\\n", n, b, m, c, o }'`,
  `df -Pi -- "$F" 2>/dev/null | LC_ALL=C awk 'NR == 2 { print "inodes", $2, $4 }'`,
  `df -Pk -- "$F" | LC_ALL=C awk 'NR == 2 { print "disk", $2, $4 }'`,
  `du -xk --max-depth=1 -- "$F" | sort -rn | head -n 6 | sed 's/^/du /'`,
  `) || echo ${quote(`gone ${folder}`)}`,
]

/** The root disk, on which Systems Manager's agent writes as well; the journal; and files that are deleted but still open. */
const ofMachine: readonly string[] = [
  `df -Pi / 2>/dev/null | LC_ALL=C awk 'NR == 2 { print "inodes", $2, $4 }'`,
  `df -Pk / | LC_ALL=C awk 'NR == 2 { print "root", $2, $4 }'`,
  `LC_ALL=C journalctl --disk-usage 2>/dev/null | head -n 1 | sed 's/^/journal /' || true`,
  "find /proc/[0-9]*/fd -maxdepth 1 -type l -lname '/* (deleted)' ! -lname '/memfd:*' ! -lname '/dev/*' -printf '%p\\n' 2>/dev/null | head -n 2000 | while read -r f; do",
  '  s=$(stat -L -c %s -- "$f" 2>/dev/null) || continue',
  '  p=$(printf %s "$f" | cut -d / -f 3)',
  '  printf \'%s %s %s %s\\n\' "$s" "$p" "$(tr -d " " < "/proc/$p/comm" 2>/dev/null || echo gone)" "$(readlink -- "$f")"',
  "done | sort -rn | head -n 6 | cut -c 1-300 | sed 's/^/open /'",
]

/**
 * Shows how full the disks, their inodes and the memory of each machine are, by configured folder, how old the files are, and what
 * takes space without being in a folder.
 */
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
          ...ofMachine,
          `LC_ALL=C awk '/^Mem(Total|Available):/ { print "mem", $2 }' /proc/meminfo`,
          ...all.flatMap(([folder, { keepHours }]) => script(folder, Math.floor(now - keepHours * 3_600))),
          'true',
        ]
      },
      ctx,
    )
    const rows: string[][] = []
    const inside: string[][] = []
    const besides: string[][] = []
    let worst = { used: -1, where: '' }
    let fewest = { used: -1, where: '' }
    for (const { machine, result } of answers) {
      const { out, fault } = saidOf(result)
      if (fault !== null) rows.push([machine.name, fault, '', '', '', '', '', ''])
      if (fault !== null) continue
      const lines = out.split('\n')
      const [total = 0, available = 0] = lines.filter((l) => l.startsWith('mem ')).map((l) => Number(l.slice(4)) * 1024)
      let folder = ''
      let files: number[] = []
      let inodes = ''
      for (const line of lines) {
        const [tag, ...rest] = line.trim().split(/\s+/)
        if (tag === 'gone')
          rows.push([machine.name, rest.join(' '), 'no folder, or reached through a link', '', '', '', '', ''])
        if (tag === 'folder') folder = rest.join(' ')
        if (tag === 'files') files = rest.map(Number)
        if (tag === 'inodes') {
          const [all = 0, left = 0] = rest.map(Number)
          const used = all > 0 ? Math.round((1 - left / all) * 100) : -1
          // Some file systems have no fixed number of them.
          inodes = used < 0 ? 'no limit' : `${used} % of ${all}`
          if (used > fewest.used) fewest = { used, where: `${folder || '/'} on ${machine.name}` }
        }
        if (tag === 'journal') besides.push([machine.name, rest.join(' ').slice(0, 200), ''])
        if (tag === 'open')
          besides.push([
            machine.name,
            `${maskSecrets(rest.slice(3).join(' '))}, open in ${rest[2]} (pid ${rest[1]})`,
            gib(Number(rest[0])),
          ])
        if (tag === 'du' && rest[1] !== folder)
          inside.push([machine.name, rest.slice(1).join(' ').slice(0, 200), gib(Number(rest[0]) * 1024)])
        if (tag !== 'disk' && tag !== 'root') continue
        if (tag === 'root') folder = '/'
        const [size = 0, free = 0] = rest.map((kib) => Number(kib) * 1024)
        const used = size > 0 ? Math.round((1 - free / size) * 100) : 0
        // A configured folder says more than the disk that it is on.
        if (used > worst.used || (tag === 'disk' && used === worst.used))
          worst = { used, where: `${folder} on ${machine.name}` }
        const [n = 0, bytes = 0, oldN = 0, oldBytes = 0, oldest = 0] = files
        const memory = `${gib(available)} of ${gib(total)}`
        const space = [machine.name, folder, `${used} % of ${gib(size)}`, inodes]
        if (tag === 'root') rows.push([...space, '', '', '', memory])
        else
          rows.push([
            ...space,
            `${n} files, ${gib(bytes)}`,
            `${oldN} files, ${gib(oldBytes)}`,
            n > 0 ? new Date(oldest * 1000).toISOString() : 'none',
            memory,
          ])
      }
    }
    return {
      summary: `The fullest disk of ${name} (${environment}) is that of ${worst.where || 'none'}: ${Math.max(0, worst.used)} %.${fewest.used >= 90 ? ` ${fewest.where} has ${100 - fewest.used} % of its inodes left: many small files fill it, not bytes.` : ''}${answers.some((one) => one.result === null) ? ' A machine that is not reached may have a full root disk, which stops the agent of Systems Manager.' : ''}`,
      blocks: [
        {
          type: 'table',
          columns: [
            'Machine',
            'Folder',
            'Disk used',
            'Inodes used',
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
        ...(besides.length > 0
          ? [
              {
                type: 'table' as const,
                columns: ['Machine', 'In no folder: the journal, and files that are deleted but open', 'Size'],
                rows: besides.slice(0, 40),
                omitted: Math.max(0, besides.length - 40),
              },
            ]
          : []),
      ],
    }
  },
})
