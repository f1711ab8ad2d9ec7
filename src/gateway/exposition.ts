/** Prometheus' text format, version 0.0.4. Pure. @see https://prometheus.io/docs/instrumenting/exposition_formats/ */

export type Labels = Readonly<Record<string, string>>;

export interface Family {
  name: string;
  help: string;
  type: "counter" | "gauge" | "histogram";
  samples: readonly Sample[];
}

export interface Sample {
  /** `_bucket`, `_sum` or `_count` of a histogram. */
  suffix?: string;
  labels?: Labels;
  value: number;
}

export const contentType = "text/plain; version=0.0.4; charset=utf-8";

/** A family without samples says nothing, and is left out. */
export function renderFamilies(families: readonly Family[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, help, type, samples }) =>
      [
        `# HELP ${name} ${help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")}`,
        `# TYPE ${name} ${type}`,
        ...samples.map(
          ({ suffix = "", labels = {}, value }) => `${name}${suffix}${renderLabels(labels)} ${renderNumber(value)}`,
        ),
        "",
      ].join("\n"),
    )
    .join("");
}

function renderLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${quoted(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function quoted(value: string): string {
  return value.toWellFormed().replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}

function renderNumber(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  return Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : "-Inf";
}

/** Only ever grows, one number for each set of labels. */
export class Counter {
  readonly #values = new Map<string, Sample & { value: number }>();
  readonly #labels: readonly string[];

  /** @param labels names, in the order in which `cell` is given their values */
  constructor(...labels: string[]) {
    this.#labels = labels;
  }

  /** The number of these labels, to be added to: whoever counts often keeps it. */
  cell(...values: string[]): { value: number } {
    const key = values.join("\n");
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    const labels = Object.fromEntries(this.#labels.map((name, at) => [name, values[at] ?? ""]));
    const cell = { labels, value: 0 };
    this.#values.set(key, cell);
    return cell;
  }

  /** Of one label at most. */
  add(amount: number, value = ""): void {
    const known = this.#values.get(value);
    if (known !== undefined) known.value += amount;
    else this.cell(...(this.#labels.length === 0 ? [] : [value])).value += amount;
  }

  /** One that has no labels counts from zero. */
  samples(): readonly Sample[] {
    return this.#values.size === 0 && this.#labels.length === 0 ? [{ value: 0 }] : [...this.#values.values()];
  }
}

/** How often which values came, by one label. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #label: string;
  readonly #series = new Map<string, { buckets: number[]; sum: number; count: number }>();

  /** @param bounds the least first */
  constructor(label: string, bounds: readonly number[]) {
    this.#label = label;
    this.#bounds = bounds;
  }

  observe(label: string, value: number): void {
    let series = this.#series.get(label);
    if (series === undefined) {
      series = { buckets: this.#bounds.map(() => 0), sum: 0, count: 0 };
      this.#series.set(label, series);
    }
    series.sum += value;
    series.count++;
    const at = this.#bounds.findIndex((bound) => value <= bound);
    if (at >= 0) series.buckets[at] = (series.buckets[at] ?? 0) + 1;
  }

  /** Each bucket holds those below it too. */
  samples(): Sample[] {
    return [...this.#series].flatMap(([value, { buckets, sum, count }]) => {
      const label = { [this.#label]: value };
      let below = 0;
      const upTo = buckets.map((here, at) => {
        below += here;
        return { suffix: "_bucket", labels: { ...label, le: String(this.#bounds[at]) }, value: below };
      });
      return [
        ...upTo,
        { suffix: "_bucket", labels: { ...label, le: "+Inf" }, value: count },
        { suffix: "_sum", labels: label, value: sum },
        { suffix: "_count", labels: label, value: count },
      ];
    });
  }
}
