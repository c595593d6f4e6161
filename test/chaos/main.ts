import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { CRASH } from './crash.ts'
import { PARTS } from './parts.ts'
import { Violation } from './violation.ts'

const { values } = parseArgs({
  options: { seeds: { type: 'string' }, replay: { type: 'string' }, part: { type: 'string' } },
})
const say = (text: string) => process.stdout.write(`${text}\n`)
const all = [...PARTS, CRASH]
const parts = all.filter((p) => values.part === undefined || p.name === values.part)
if (parts.length === 0) throw new Error(`--part is one of ${all.map((p) => p.name).join(', ')}`)
say(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}`)
for (const part of parts) {
  const from = values.replay === undefined ? 1 : Number(values.replay)
  const seeds = values.replay === undefined ? Number(values.seeds ?? part.long) : 1
  const start = performance.now()
  let seed = from
  try {
    if (part.many && seeds > 1) say(`${part.name}: ${await part.many(from, seeds)}`)
    else for (; seed < from + seeds; seed += 1) await part.run(seed)
  } catch (error) {
    const at = (error instanceof Violation && error.seed) || seed
    say(
      `${part.name}: seed ${at}: ${(error as Error).message}\nAgain: npm run chaos -- --part ${part.name} --replay ${at}`,
    )
    await part.close?.().catch(() => {})
    process.exit(1)
  }
  try {
    const figures = await part.close?.()
    if (figures) say(`${part.name}: ${figures}`)
  } catch (error) {
    say(`${part.name}: ${(error as Error).message}`)
    process.exit(1)
  }
  const seconds = (performance.now() - start) / 1000
  say(`${part.name}: ${seeds} ${part.unit}, no violation, ${Number((seeds / seconds).toPrecision(3))} a second`)
}
process.exit(0)
