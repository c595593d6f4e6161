/** The argument list with the values in their places; a value never becomes a second argument. */
export const fillArgs = (args: readonly string[], values: Readonly<Record<string, string>>): string[] =>
  args.map((template) => template.replace(/\{(\w+)\}/g, (_, name: string) => values[name]!))
