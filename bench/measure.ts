/** Milliseconds that one call takes: the middle of several rounds. */
export type Timed = Readonly<{ ours: number; theirs: number }>

const middle = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

/** Times two ways of doing the same in turns, so that a noisy machine is noisy for both. `between` is not timed. */
export async function compare(
  rounds: number,
  calls: number,
  ours: (i: number) => unknown,
  theirs: (i: number) => unknown,
  between: () => unknown = () => {},
): Promise<Timed> {
  const time = async (work: (i: number) => unknown, round: number) => {
    const start = performance.now()
    for (let i = 0; i < calls; i += 1) await work(round * calls + i)
    return (performance.now() - start) / calls
  }
  const all: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] }
  await time(ours, -2)
  await time(theirs, -1)
  for (let round = 0; round < rounds; round += 1) {
    await between()
    all.ours.push(await time(ours, round))
    all.theirs.push(await time(theirs, round + rounds))
  }
  return { ours: middle(all.ours), theirs: middle(all.theirs) }
}
