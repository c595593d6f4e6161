import { z } from 'zod'
import { defineChange, defineRead } from '../../src/domain/command.ts'

/** Two commands with one parameter of each kind. They are parsed against here, never run. */
export const commands = [
  defineRead({
    id: 'kafka.find-bad-record',
    summary: 'Find the record that the consumer stops at',
    effect: 'read',
    params: z.object({
      topic: z.string(),
      limit: z.coerce.number().int().max(20).default(5),
      query: z.string().optional().meta({ from: 'playbook' }),
    }),
    read: async () => ({ summary: '', blocks: [] }),
  }),
  defineChange({
    id: 'kafka.skip-record',
    summary: 'Move a consumer group past one record',
    effect: 'once',
    risk: 'medium',
    params: z
      .object({
        topic: z.string().describe('Topic'),
        group: z.string(),
        mode: z.enum(['copy', 'drop']).default('copy'),
        partitions: z.array(z.string()).optional(),
        offset: z.coerce.number().int().min(0).optional(),
        count: z.coerce.number().optional().meta({ from: 'person' }),
      })
      .refine((p) => p.topic !== p.group, 'topic and group are the same'),
    plan: async () => ({ summary: '', targets: [], steps: [], warnings: [], data: null }),
    run: async () => '',
    verify: async () => [],
    probe: async () => ({ landed: 'no', detail: '' }),
  }),
  defineRead({
    id: 'kafka.compare',
    summary: 'Compare two consumer groups',
    effect: 'read',
    params: z.object({ groups: z.object({ left: z.string(), right: z.string() }) }),
    read: async () => ({ summary: '', blocks: [] }),
  }),
] as const
