/** For reading what others have written, where any field may be missing or of another type. */

export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** No fields for what is no object. */
export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {};
}
