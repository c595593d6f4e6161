import type { Connections, Desk } from './desk.ts'

/** One failure of the field, a real or wire-level system that has it, and how it is recovered from the thread. */
export type Row = Readonly<{
  id: string
  failure: string
  playbook: string
  /** The system in tests. */
  peer: string
  begin(): Promise<{
    connections: Connections
    secrets: Readonly<Record<string, string>>
    alert(): Promise<{ labels: Record<string, string>; annotations?: Record<string, string> }>
    /** From the open incident to a granted and executed plan, if it takes more than one approval. */
    recover?(desk: Desk, incident: string): Promise<void>
    /** Throws unless the system is mended. Left out where nothing from here mends it: then the evidence must say this. */
    mended?(): Promise<void>
    evidence?: RegExp
    /** Brings about what must not be done; the refusal's words. */
    guard?: { arrange(desk: Desk): Promise<string>; says: RegExp }
    stop(): Promise<void>
  }>
}>
