/** Scrapes of a target, one minute after another but for the first, which is what there was until `change`. */
export interface Scrapes {
	readonly texts: readonly string[];
	/** What happened between the last two goes on: counters grow each minute by what they grew between them. */
	readonly lasting: boolean;
	/** Minutes. */
	readonly change: number;
	readonly total: number;
	/** What Prometheus adds to every sample. */
	readonly labels: Readonly<Record<string, string>>;
}

/** Series as `promtool test rules` takes them, from Prometheus' text format: absent before they were scraped first. */
export function seriesOf({ texts, lasting, change, total, labels }: Scrapes): { series: string; values: string }[] {
	const scrapes = texts.map(samplesOf);
	const last = scrapes.at(-1) ?? new Map();
	const counters = countersIn(texts.at(-1) ?? '');
	const added = Object.entries(labels)
		.map(([name, value]) => `${name}="${value}"`)
		.join(',');
	return [...last.keys()].map(name => {
		const values = scrapes.map(scrape => scrape.get(name));
		const [metric = '', own = ''] = name.split(/[{}]/);
		const grows = lasting && counters.has(metric);
		const step = grows ? Number(values.at(-1)) - Number(values.at(-2) ?? 0) : 0;
		const [first, ...rest] = values;
		const steps = [
			first === undefined ? `_x${change}` : `${first}+0x${change - 1}`,
			...rest.slice(0, -1).map(value => value ?? '_'),
			`${values.at(-1)}+${step}x${total - change - rest.length}`,
		];
		return { series: `${metric}{${own === '' ? added : `${own},${added}`}}`, values: steps.join(' ') };
	});
}

/** By name and labels, as they stand there. */
const samplesOf = (text: string): ReadonlyMap<string, string> =>
	new Map(
		text
			.split('\n')
			.filter(line => line !== '' && !line.startsWith('#'))
			.map(line => {
				const at = line.lastIndexOf(' ');
				return [line.slice(0, at), line.slice(at + 1)] as const;
			}),
	);

/** Names of samples that only grow. */
const countersIn = (text: string): ReadonlySet<string> =>
	new Set(
		[...text.matchAll(/^# TYPE (\w+) (counter|histogram)$/gm)].flatMap(([, name = '', type]) =>
			type === 'counter' ? [name] : ['bucket', 'sum', 'count'].map(part => `${name}_${part}`),
		),
	);
