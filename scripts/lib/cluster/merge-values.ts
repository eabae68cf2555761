export type Values = { readonly [key: string]: unknown };

/** Values over others, group by group, as Helm lays them. */
export function mergeValues(under: Values, over: Values): Values {
  const isGroup = (value: unknown): value is Values => typeof value === "object" && value !== null && !Array.isArray(value);
  const both = Object.entries(over).map(([key, value]) => {
    const below = under[key];
    return [key, isGroup(value) && isGroup(below) ? mergeValues(below, value) : value] as const;
  });
  return { ...under, ...Object.fromEntries(both) };
}
