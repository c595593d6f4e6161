import { parseArgs } from 'node:util'
import { startStage } from './stage.ts'
import { play } from './story.ts'

const { values } = parseArgs({ options: { play: { type: 'boolean', default: false } } })
const say = (text: string) => process.stdout.write(`${text}\n`)

say('Starting Redis, Postgres, the Slack sandbox, the bot and a worker…')
const stage = await startStage({ port: 0, env: process.env })
if (values.play) {
  try {
    for (const line of await play(stage)) say(line)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exitCode = 1
  } finally {
    await stage.stop()
  }
} else {
  say(`Open ${stage.url}  (Ctrl-C ends everything)`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stage.stop().then(() => process.exit(0)))
}
