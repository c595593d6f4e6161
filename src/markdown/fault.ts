/** What is wrong in a playbook, where, and what to do. `line` and `column` count from 1; line 0 is the whole file. */
export type Fault = Readonly<{ file: string; line: number; column?: number; what: string; remedy: string }>

/** A place in a file, counted from 1. */
export type Place = Readonly<{ line: number; column?: number }>

/** Notes one fault of the file that is being read; reading goes on, so that all of them are found at once. */
export type Report = (at: Place, what: string, remedy: string) => void

/** Foreign text in a fault: quoted, on one line, cut to 80 characters. */
export const quote = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text)

/** Faults by file, line and column. */
export const sortFaults = (faults: readonly Fault[]): Fault[] =>
  faults.toSorted(
    (a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) || a.line - b.line || (a.column ?? 0) - (b.column ?? 0),
  )

/** One fault a line, sorted: `playbooks/kafka/x.md:12: what. remedy.` */
export const formatFaults = (faults: readonly Fault[]): string =>
  sortFaults(faults)
    .map((f) => `${f.file}${f.line ? `:${f.line}` : ''}: ${f.what}. ${f.remedy}.`)
    .join('\n')
