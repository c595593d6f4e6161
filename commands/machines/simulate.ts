import { type ReadContext, Refused } from '../../src/domain/command.ts'
import { maskSecrets } from '../mask.ts'
import { type Group, groupOf, machines } from './connection.ts'
import type { Pin } from './inventory.ts'
import { lastLines, look } from './send.ts'
import { quote } from './shell.ts'

/** What the package manager of one machine says that it would do. */
export type Simulated = Readonly<{
  /** `name old new`, an empty old for what is not installed; the pins themselves are among them. */
  changes: readonly Readonly<{ name: string; from: string; to: string }>[]
  removed: readonly string[]
  /** Held on this machine, whether touched or not. */
  held: readonly string[]
  downgraded: readonly string[]
  /** What would not fit together afterwards, and what does not already. */
  conflicts: readonly string[]
  broken: readonly string[]
}>

const dpkg = (pins: readonly Pin[]): string[] => [
  'export LC_ALL=C DEBIAN_FRONTEND=noninteractive',
  `S=$(apt-get --simulate install --no-install-recommends --allow-downgrades --allow-change-held-packages -- ${pins.map((pin) => quote(`${pin.name}=${pin.version}`)).join(' ')} 2>&1) || { printf '%s\\n' "$S" | grep -E '^(E|W):|Depends|Conflicts|Breaks' | tail -n 8 >&2; exit 66; }`,
  // Inst name [old] (new origin …), Inst name (new origin …), Remv name [old].
  "I=$(printf '%s\\n' \"$S\" | sed -n -E 's/^Inst ([^ ]+) \\[([^]]+)\\] \\(([^ )]+).*$/\\1 \\2 \\3/p; s/^Inst ([^ ]+) \\(([^ )]+).*$/\\1 - \\2/p')",
  'printf \'%s\\n\' "$I" | while read -r n o v; do',
  '  [ -n "$n" ] || continue',
  '  printf \'inst\\t%s\\t%s\\t%s\\n\' "$n" "$o" "$v"',
  '  [ "$o" = - ] || ! dpkg --compare-versions "$v" lt "$o" || printf \'down\\t%s\\n\' "$n"',
  'done',
  "printf '%s\\n' \"$S\" | sed -n -E 's/^Remv ([^ ]+).*$/\\1/p' | while read -r n; do printf 'remv\\t%s\\n' \"$n\"; done",
  'apt-mark showhold | while read -r n; do printf \'held\\t%s\\n\' "$n"; done',
]

/** Reads pip's own report, and looks whether each distribution would still have what it requires. */
const FITS = [
  'import json, sys',
  'from importlib.metadata import distributions',
  'from pip._vendor.packaging.requirements import Requirement',
  'from pip._vendor.packaging.utils import canonicalize_name as canon',
  'now = {}',
  'for d in distributions():',
  "    name = d.metadata['Name']",
  '    if name: now.setdefault(canon(name), (d.version, d.requires or []))',
  'def lacks(have):',
  '    found = set()',
  '    for name, (version, requires) in have.items():',
  '        for text in requires:',
  '            need = Requirement(text)',
  "            if need.marker and not need.marker.evaluate({'extra': ''}): continue",
  '            other = have.get(canon(need.name))',
  '            if other is None or not need.specifier.contains(other[0], prereleases=True):',
  "                found.add('%s %s needs %s%s, there is %s' % (name, version, need.name, need.specifier, other[0] if other else 'none'))",
  '    return found',
  'then = dict(now)',
  "for one in json.load(open(sys.argv[1]))['install']:",
  "    meta = one['metadata']",
  "    name = canon(meta['name'])",
  "    print('inst\\t%s\\t%s\\t%s' % (name, now[name][0] if name in now else '-', meta['version']))",
  "    then[name] = (meta['version'], meta.get('requires_dist', []))",
  'before, after = lacks(now), lacks(then)',
  "for text in sorted(before): print('broken\\t' + text)",
  "for text in sorted(after - before): print('conf\\t' + text)",
]

/** A dry run of pip does not look at this mark of PEP 668, and the installation then fails. */
const OURS =
  "import os, sys, sysconfig; sys.exit(sys.prefix == sys.base_prefix and os.path.exists(os.path.join(sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED')))"

const pip = (python: string, pins: readonly Pin[]): string[] => [
  `${quote(python)} -c ${quote(OURS)} || { echo externally-managed-environment >&2; exit 66; }`,
  'R=$(mktemp)',
  'trap \'rm -f "$R"\' EXIT',
  `${quote(python)} -m pip install --dry-run --no-input --disable-pip-version-check --quiet --report "$R" -- ${pins.map((pin) => quote(`${pin.name}==${pin.version}`)).join(' ')} >&2 || exit 66`,
  `${quote(python)} - "$R" <<'FITS'`,
  ...FITS,
  'FITS',
]

/** The line of a script that only looks; null where the package manager cannot be asked without changing anything. */
export function simulateScript({ packageManager, python }: Group, pins: readonly Pin[]): string[] | null {
  if (packageManager === 'dpkg') return dpkg(pins)
  if (packageManager === 'pip') return pip(python ?? '', pins)
  return null
}

function parseSimulated(out: string): Simulated {
  const lines = out.split('\n').map((line) => line.split('\t'))
  const all = (tag: string) =>
    lines
      .filter(([one]) => one === tag)
      .map(([, name = '']) => name)
      .sort()
  return {
    changes: lines
      .filter(([tag]) => tag === 'inst')
      .map(([, name = '', from = '', to = '']) => ({ name, from: from === '-' ? '' : from, to }))
      .sort((a, b) => a.name.localeCompare(b.name)),
    removed: all('remv'),
    held: all('held'),
    downgraded: all('down'),
    conflicts: all('conf'),
    broken: all('broken'),
  }
}

/**
 * What the installation would do on each of these machines, by the package manager itself; an empty map where it cannot be asked.
 * Refused where it says no, with its own words.
 */
export async function simulatedOn(
  connection: string,
  name: string,
  instances: readonly string[],
  pins: readonly Pin[],
  ctx: ReadContext,
): Promise<ReadonlyMap<string, Simulated>> {
  const { client, settings } = await ctx.connect(machines, connection)
  const script = simulateScript(groupOf(settings, name), pins)
  if (!script) return new Map()
  const results = await look(client, settings, { instances, script }, ctx.signal)
  return new Map(
    [...results].map(([instance, { status, out, err }]) => {
      if (status !== 'Success') throw new Refused(whyNot(instance, maskSecrets(err)))
      return [instance, parseSimulated(out)]
    }),
  )
}

function whyNot(instance: string, said: string): string {
  if (/externally-managed-environment/.test(said))
    return `${instance}: this Python belongs to the system, which pip does not change (externally-managed-environment). Set "python" of the group to that of the virtual environment.`
  const hint = /was not found|Unable to locate|No matching distribution|Could not find a version/.test(said)
    ? ' The list of packages on the machine may be old: apt-get update, or the index that pip asks.'
    : ''
  return `${instance}: it cannot be installed: ${lastLines(said, 400) || 'the package manager said nothing'}.${hint}`
}

/** Throws Refused when more would happen than a person has asked for: removals, held packages, others' downgrades, conflicts. */
export function refuseSurprises(machine: string, simulated: Simulated, pins: readonly Pin[]): void {
  const own = new Set(pins.map((pin) => pin.name.toLowerCase().replaceAll('_', '-')))
  const isOwn = (name: string) => own.has(name.toLowerCase().replaceAll('_', '-').replace(/:.*$/, ''))
  const { removed, conflicts } = simulated
  if (removed.length > 0)
    throw new Refused(`${machine}: it would remove ${removed.join(', ')}. Nothing is ever removed.`)
  if (conflicts.length > 0)
    throw new Refused(`${machine}: afterwards it would not fit together: ${conflicts.slice(0, 6).join('; ')}.`)
  const held = simulated.changes.filter((one) => simulated.held.includes(one.name) && !isOwn(one.name))
  if (held.length > 0)
    throw new Refused(`${machine}: it would change ${held.map((one) => one.name).join(', ')}, which is held there.`)
  const down = simulated.downgraded.filter((name) => !isOwn(name))
  if (down.length > 0)
    throw new Refused(
      `${machine}: it would set ${down.join(', ')} back to an older version as well. Name them with their versions if that is meant.`,
    )
}

/** The changes as a person reads them: `numpy 2.1.0 → 1.26.4, libblas3 3.11 (new)`. */
export const shownChanges = ({ changes }: Simulated): string =>
  changes.map(({ name, from, to }) => (from ? `${name} ${from} → ${to}` : `${name} ${to} (new)`)).join(', ') || 'none'
