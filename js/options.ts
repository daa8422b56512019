/**
 * Reads an options object once, own properties only, and refuses what it does not know: a bad option is a `TypeError` with its
 * dotted path, what is allowed and what was given.
 */
export class OptionReader {
  readonly #values: ReadonlyMap<string, unknown>;
  readonly #path: string;

  constructor(options: unknown, path: string, known: readonly string[]) {
    if (options !== undefined && (typeof options !== "object" || options === null || Array.isArray(options)))
      throw new TypeError(`${path} must be an object, got ${show(options)}`);
    const values = new Map<string, unknown>();
    for (const [name, value] of Object.entries(options ?? {})) {
      if (!known.includes(name)) throw new TypeError(`${path}.${name} is not an option here; known are ${known.join(", ")}`);
      if (value !== undefined) values.set(name, value);
    }
    this.#values = values;
    this.#path = path;
  }

  /** True if the option is given and not undefined. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The option as it was given. */
  any(name: string): unknown {
    return this.#values.get(name);
  }

  /** The option's dotted path. */
  path(name: string): string {
    return `${this.#path}.${name}`;
  }

  /** A finite number in `min..max`, whole if `whole`. */
  number(name: string, { min, max, unit, whole = false }: NumberRange): number | undefined {
    const value = this.#values.get(name);
    if (value === undefined) return undefined;
    const right = typeof value === "number" && value >= min && value <= max && (!whole || Number.isInteger(value));
    if (right) return value;
    throw this.wrong(name, `${whole ? "a whole number " : ""}in ${min}..${max}${unit === undefined ? "" : ` ${unit}`}`);
  }

  /** One of `allowed`. */
  oneOf<T extends string | number>(name: string, allowed: readonly T[]): T | undefined {
    const value = this.#values.get(name);
    if (value === undefined) return undefined;
    const found = allowed.find((one) => one === value);
    if (found === undefined) throw this.wrong(name, allowed.map(show).join(" or "));
    return found;
  }

  /** True or false. */
  boolean(name: string): boolean | undefined {
    return this.#typed<boolean>(name, (value) => typeof value === "boolean", "true or false");
  }

  /** A string that is not empty. */
  string(name: string): string | undefined {
    return this.#typed<string>(name, (value) => typeof value === "string" && value !== "", "a string that is not empty");
  }

  /** A function. */
  function<T>(name: string): T | undefined {
    return this.#typed<T>(name, (value) => typeof value === "function", "a function");
  }

  /** An AbortSignal. */
  signal(name: string): AbortSignal | undefined {
    return this.#typed<AbortSignal>(name, (value) => value instanceof AbortSignal, "an AbortSignal");
  }

  /** The error for an option of the wrong kind. */
  wrong(name: string, allowed: string): TypeError {
    return new TypeError(`${this.path(name)} must be ${allowed}, got ${show(this.#values.get(name))}`);
  }

  #typed<T>(name: string, is: (value: unknown) => boolean, allowed: string): T | undefined {
    const value = this.#values.get(name);
    if (value === undefined) return undefined;
    if (!is(value)) throw this.wrong(name, allowed);
    return value as T;
  }
}

/** What a numeric option may be. */
export interface NumberRange {
  readonly min: number;
  readonly max: number;
  readonly unit?: string;
  readonly whole?: boolean;
}

/** A value in a message: short, with the type where the value says nothing. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null)
    return Array.isArray(value) ? "an array" : `a ${value.constructor?.name ?? "plain object"}`;
  return String(value);
}
