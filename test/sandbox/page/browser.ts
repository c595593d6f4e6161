import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'

/** Starts the machine's Chromium without a window; throws what to install when there is none. */
export async function launchChromium(): Promise<Browser> {
  const folders = ['/usr/bin', ...(process.env.PATH ?? '').split(delimiter)]
  const names = ['chromium', 'chromium-browser', 'google-chrome']
  const found = folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable)
  if (!found)
    throw new Error('No Chromium on the PATH. Install it: apt-get install -y --no-install-recommends chromium')
  return await chromium.launch({
    executablePath: found,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
