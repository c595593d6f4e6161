import { expect, it } from '@jest/globals'
import { z } from 'zod'
import { whatIsWrong } from '../../src/domain/wrong.ts'

const said = (schema: z.ZodType, value: unknown) => schema.safeParse(value).error?.issues.map(whatIsWrong)

it.each<[string, z.ZodType, unknown, string]>([
  ['nothing', z.string(), undefined, 'is missing'],
  ['what is no number', z.number(), Number('x'), 'must be a number'],
  ['text for a number', z.number(), 'x', 'must be a number'],
  ['half of one', z.number().int(), 1.5, 'must be a whole number'],
  ['a number that is too small', z.number().min(1), 0, 'must be at least 1'],
  ['one that is too big', z.number().max(30), 99, 'must be at most 30'],
  ['one that must be above', z.number().positive(), 0, 'must be more than 0'],
  ['empty text', z.string().min(1), '', 'must not be empty'],
  ['long text', z.string().max(3), 'abcd', 'must have at most 3 characters'],
  ['an empty list', z.array(z.string()).min(1), [], 'must not be empty'],
  ['another word', z.enum(['up', 'down']), 'left', 'must be one of up, down'],
  ['no address', z.url(), 'x', 'must be a web address'],
  ['another form', z.string().regex(/^a+$/), 'b', 'does not have the form that is asked for'],
  ['a part too many', z.strictObject({}), { x: 1 }, 'has parts that nobody knows: x'],
  ['none of several', z.union([z.string(), z.number()]), true, 'has none of the forms that are allowed'],
  ['what has a sentence of its own', z.string().regex(/^a+$/, 'is not all a'), 'b', 'is not all a'],
])('says of %s what to give instead, without a word of the library', (_, schema, value, sentence) => {
  expect(said(schema, value)).toEqual([sentence])
})
