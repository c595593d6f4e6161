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
    /** From the open incident up every rung of the playbook, if it takes more than one approval. */
    recover?(desk: Desk, incident: string): Promise<void>
    /** Throws unless the system is mended. Left out where nothing from here mends it. */
    mended?(): Promise<void>
    /** What the thread says once the incident is open: each thing that a person would have looked up. */
    evidence: readonly RegExp[]
    /**
     * Each brings about what must not be done, up to the proposal that must be refused; the words of the refusal, and the
     * steps that were done before it stopped, where it cannot be told earlier.
     */
    guards?: readonly { arrange(desk: Desk): Promise<string>; says: RegExp; done?: readonly string[] }[]
    stop(): Promise<void>
  }>
}>
