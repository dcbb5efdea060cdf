/** One line of the exposition, as prom-client's registry writes it. */
interface Sample {
	readonly metricName: string;
	readonly labels: Readonly<Record<string, string | number>>;
	readonly value: number;
}

export interface HistogramOptions<Label extends string> {
	readonly name: string;
	readonly help: string;
	readonly labelNames?: readonly Label[];
	/** Upper bounds, ascending; the one without a bound is added. */
	readonly buckets: readonly number[];
}

/** The counts of one set of label values. Observing allocates nothing. */
export class Observations {
	readonly #buckets: readonly number[];
	/** Per bucket, not cumulative; the last has no bound. */
	readonly counts: Float64Array;
	sum = 0;

	constructor(buckets: readonly number[]) {
		this.#buckets = buckets;
		this.counts = new Float64Array(buckets.length + 1);
	}

	observe(value: number): void {
		const buckets = this.#buckets;
		let place = 0;
		while (place < buckets.length && value > (buckets[place] as number)) place++;
		this.counts[place] = (this.counts[place] ?? 0) + 1;
		this.sum += value;
	}
}

/** A histogram that prom-client's registry can write, at a tenth of what its own costs per observation. */
export class Histogram<Label extends string = never> {
	readonly name: string;
	readonly help: string;
	readonly type = 'histogram';
	readonly aggregator = 'sum';
	readonly labelNames: readonly Label[];
	readonly #buckets: readonly number[];
	readonly #children = new Map<string, { readonly labels: Record<string, string>; readonly seen: Observations }>();

	constructor({ name, help, labelNames = [], buckets }: HistogramOptions<Label>) {
		this.name = name;
		this.help = help;
		this.labelNames = labelNames;
		this.#buckets = buckets;
		if (labelNames.length === 0) this.labels();
	}

	/** The counts of these label values, in the order of `labelNames`. */
	labels(...values: readonly string[]): Observations {
		const key = JSON.stringify(values);
		let child = this.#children.get(key);
		if (child === undefined) {
			const labels = Object.fromEntries(this.labelNames.map((name, index) => [name, values[index] ?? '']));
			child = { labels, seen: new Observations(this.#buckets) };
			this.#children.set(key, child);
		}
		return child.seen;
	}

	async get(): Promise<object> {
		const values: Sample[] = [];
		for (const { labels, seen } of this.#children.values()) {
			let total = 0;
			for (const [place, count] of seen.counts.entries()) {
				total += count;
				values.push({
					metricName: `${this.name}_bucket`,
					labels: { ...labels, le: this.#buckets[place] ?? '+Inf' },
					value: total,
				});
			}
			values.push({ metricName: `${this.name}_sum`, labels, value: seen.sum });
			values.push({ metricName: `${this.name}_count`, labels, value: total });
		}
		const { name, help, type, aggregator } = this;
		return { name, help, type, aggregator, values };
	}
}
