import { gunzipSync } from 'node:zlib'
import type { Group } from './connection.ts'
import { quote } from './shell.ts'

type Manager = Pick<Group, 'packageManager' | 'python'>

const LISTS: Readonly<Record<Group['packageManager'], (python: string) => string>> = {
  dpkg: () =>
    `dpkg-query --show --showformat='\${db:Status-Abbrev}\\t\${Package}\\t\${Version}\\n' | grep '^.i' | cut -f 2,3`,
  rpm: () => "rpm --query --all --queryformat='%{NAME}\\t%{VERSION}-%{RELEASE}\\n'",
  pip: (python) => `${quote(python)} -m pip list --format=freeze --disable-pip-version-check | sed -n 's/==/\\t/p'`,
}

/** Lists all packages with their versions; packed, since Systems Manager cuts an output at 24,000 characters. */
export const listScript = ({ packageManager, python }: Manager): string[] => [
  `${LISTS[packageManager](python ?? '')} | gzip -c | base64 -w 0`,
]

const MOST_BYTES = 8 * 1024 * 1024

function unpacked(out: string): string {
  try {
    return gunzipSync(Buffer.from(out.trim(), 'base64'), { maxOutputLength: MOST_BYTES }).toString('utf8')
  } catch (error) {
    throw new Error('gave a list of packages that cannot be read', { cause: error })
  }
}

/** Version by package. Throws when the machine listed none: a machine without packages is a script that failed. */
export function parsePackages(out: string): Map<string, string> {
  const text = unpacked(out)
  const found = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [name = '', version = ''] = line.split('\t')
    if (name && version) found.set(name.slice(0, 120), version.trim().slice(0, 120))
  }
  if (found.size === 0) throw new Error('listed no packages: check packageManager and python of the group')
  return found
}

export type Pin = Readonly<{ name: string; version: string }>

/** The name of a package of Python as PEP 503 has it. */
const canonical = (name: string): string => name.toLowerCase().replaceAll(/[-_.]+/g, '-')

/**
 * Installs exactly these versions, removes nothing, and keeps upgrades from replacing them where the manager can. pip gets all
 * that was shown by name, and nothing that they require besides.
 */
export function pinScript(
  { packageManager, python }: Manager,
  pins: readonly Pin[],
  shown: readonly Readonly<{ name: string; to: string }>[] = [],
): string[] {
  const also = shown.filter(({ name }) => !pins.some((pin) => canonical(pin.name) === canonical(name)))
  const names = pins.map((pin) => quote(pin.name)).join(' ')
  const joined = (by: string) => pins.map((pin) => quote(`${pin.name}${by}${pin.version}`)).join(' ')
  switch (packageManager) {
    case 'dpkg':
      return [
        'set -e',
        `DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-remove --no-install-recommends --allow-downgrades --allow-change-held-packages -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=60 -- ${joined('=')} >&2`,
        `apt-mark hold -- ${names} >&2`,
      ]
    case 'rpm':
      // An older lock would hide every other version, and stand beside the new one.
      return [
        'set -e',
        `dnf install --disableplugin=versionlock --assumeyes -- ${joined('-')} >&2`,
        `dnf versionlock delete -- ${names} >&2 || true`,
        `dnf versionlock add -- ${joined('-')} >&2`,
      ]
    case 'pip':
      return [
        'set -e',
        `${quote(python ?? '')} -m pip install --no-input --disable-pip-version-check --no-deps -- ${[joined('=='), ...also.map(({ name, to }) => quote(`${name}==${to}`))].join(' ')} >&2`,
      ]
  }
}
