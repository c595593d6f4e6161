import { isUtf8 } from 'node:buffer'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { ambiguous, type Playbook } from '../domain/playbook.ts'
import { type Fault, sortFaults } from './fault.ts'
import { type Known, LARGEST, parsePlaybook } from './parse.ts'
import { matchesWhole } from './regex.ts'

export type Loaded = { ok: true; playbooks: Playbook[] } | { ok: false; faults: Fault[] }

/**
 * Reads every `<system>/<slug>.md` below `dir`, sorted by path; README.md and hidden files are left out. Either all
 * playbooks, or every fault of every file at once. Throws if the disk fails.
 */
export async function loadPlaybooks(dir: string, known: Known): Promise<Loaded> {
  const faults: Fault[] = []
  const found: { file: string; playbook: Playbook; matchLine: number }[] = []
  for (const file of await list(dir, faults)) {
    const text = await readText(file, dir, faults)
    if (text === null) continue
    const parsed = parsePlaybook(file, text, known, relative(dir, file))
    if (parsed.ok) found.push({ file, ...parsed })
    else faults.push(...parsed.faults)
  }
  for (const a of found)
    for (const b of found) {
      if (a === b || !ambiguous(a.playbook, b.playbook, matchesWhole)) continue
      const what = `one alert can match this playbook and ${b.file}:${b.matchLine}, and neither is more specific`
      faults.push({ file: a.file, line: a.matchLine, what, remedy: 'Add a label to the "match" of one of them' })
    }
  return faults.length > 0
    ? { ok: false, faults: sortFaults(faults) }
    : { ok: true, playbooks: found.map((f) => f.playbook) }
}

async function list(dir: string, faults: Fault[]): Promise<string[]> {
  try {
    const entries = await readdir(dir, { recursive: true, withFileTypes: true })
    return entries
      .filter((e) => e.isSymbolicLink() || e.name.endsWith('.md'))
      .filter((e) => e.name !== 'README.md')
      .map((e) => relative(dir, join(e.parentPath, e.name)))
      .filter((path) => !path.split(sep).some((part) => part.startsWith('.')))
      .map((path) => join(dir, path))
      .sort()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'ENOTDIR')
      throw new Error(`the playbooks in ${dir} cannot be listed`, { cause: error })
    faults.push({ file: dir, line: 0, what: 'there is no such directory', remedy: 'Set playbooks.directory to one' })
    return []
  }
}

/** The text of a file that really lies below `dir`; a link to anywhere else would show what is not a playbook. */
async function readText(file: string, dir: string, faults: Fault[]): Promise<string | null> {
  const no = (what: string, remedy: string) => {
    faults.push({ file, line: 0, what, remedy })
    return null
  }
  try {
    const real = await realpath(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ELOOP') return null
      throw error
    })
    if (real === null) return no('the link leads nowhere', 'Take it out')
    if (!real.startsWith((await realpath(dir)) + sep))
      return no('the link leads out of the playbooks', 'Put the file itself here')
    const { size, ...info } = await stat(real).then((s) => ({ size: s.size, file: s.isFile() }))
    if (!info.file) return no('this is not a file', 'Put the file itself here')
    if (size > LARGEST) return no(`the file is larger than ${LARGEST / 1024} KiB`, 'Split it into several playbooks')
    const bytes = await readFile(real)
    return isUtf8(bytes) ? bytes.toString() : no('the file is not UTF-8', 'Save it as UTF-8')
  } catch (error) {
    throw new Error(`${file} cannot be read`, { cause: error })
  }
}
