/** Two scrapes, and when the second one's state begins; minutes. */
export interface Scrapes {
	readonly before: string;
	readonly after: string;
	readonly change: number;
	readonly total: number;
	/** What Prometheus adds to every sample. */
	readonly labels: Readonly<Record<string, string>>;
}

/** Series as `promtool test rules` takes them, from Prometheus' text format: absent before they were scraped first. */
export function seriesOf({ before, after, change, total, labels }: Scrapes): { series: string; values: string }[] {
	const first = samplesOf(before);
	const added = Object.entries(labels)
		.map(([name, value]) => `${name}="${value}"`)
		.join(',');
	return [...samplesOf(after)].map(([name, value]) => {
		const old = first.get(name);
		const [metric = '', own = ''] = name.split(/[{}]/);
		return {
			series: `${metric}{${own === '' ? added : `${own},${added}`}}`,
			values: `${old === undefined ? `_x${change}` : `${old}+0x${change - 1}`} ${value}+0x${total - change}`,
		};
	});
}

/** By name and labels, as they stand there. */
export const samplesOf = (text: string): ReadonlyMap<string, string> =>
	new Map(
		text
			.split('\n')
			.filter(line => line !== '' && !line.startsWith('#'))
			.map(line => {
				const at = line.lastIndexOf(' ');
				return [line.slice(0, at), line.slice(at + 1)] as const;
			}),
	);
