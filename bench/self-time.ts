/** V8's .cpuprofile, as far as it is used here; times are monotonic microseconds. */
export interface CpuProfile {
	readonly nodes: readonly {
		readonly id: number;
		readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
		readonly children?: readonly number[];
	}[];
	readonly startTime: number;
	readonly samples: readonly number[];
	readonly timeDeltas: readonly number[];
}

/** Microseconds of one function: in itself, and with what it called. */
export interface Function {
	self: number;
	total: number;
}

export interface Spent {
	/** Everything but idling. */
	readonly busy: number;
	/** By name and place. */
	readonly functions: ReadonlyMap<string, Function>;
	/** By file, package, or part of Node. */
	readonly groups: ReadonlyMap<string, number>;
}

/** Where the time between two moments went. */
export function selfTimes(profile: CpuProfile, [from, to]: readonly [number, number]): Spent {
	const nodes = new Map(profile.nodes.map(node => [node.id, node]));
	const parents = new Map<number, number>();
	for (const { id, children } of profile.nodes) for (const child of children ?? []) parents.set(child, id);
	const functions = new Map<string, Function>();
	const groups = new Map<string, number>();
	const own = new Map<number, number>();
	let busy = 0;
	let time = profile.startTime;
	for (const [index, id] of profile.samples.entries()) {
		const delta = profile.timeDeltas[index] ?? 0;
		time += delta;
		// A sample stands for the time that follows it.
		const lasts = profile.timeDeltas[index + 1] ?? 0;
		if (time < from || time > to || lasts <= 0) continue;
		const name = nodes.get(id)?.callFrame.functionName;
		if (name === '(idle)') continue;
		busy += lasts;
		own.set(id, (own.get(id) ?? 0) + lasts);
	}
	for (const [id, micros] of own) {
		const node = nodes.get(id);
		if (node === undefined) continue;
		const group = placeOf(node.callFrame.url, node.callFrame.functionName);
		groups.set(group, (groups.get(group) ?? 0) + micros);
		const seen = new Set<string>();
		for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
			const frame = nodes.get(at)?.callFrame;
			if (frame === undefined) break;
			const key = `${frame.functionName === '' ? '(anonymous)' : frame.functionName}  ${placeOf(frame.url, '')}${frame.url === '' ? '' : `:${frame.lineNumber + 1}`}`;
			// Once a stack, or recursion would count twice.
			if (seen.has(key)) continue;
			seen.add(key);
			const one = functions.get(key) ?? { self: 0, total: 0 };
			if (at === id) one.self += micros;
			one.total += micros;
			functions.set(key, one);
		}
	}
	return { busy, functions, groups };
}

function placeOf(url: string, name: string): string {
	if (url === '') return name === '' ? 'V8' : `V8 ${name}`;
	if (url.startsWith('node:')) return url;
	if (url.startsWith('wasm:')) return 'WebAssembly';
	const inside = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\/(.*)$/.exec(url);
	if (inside !== null) return `${inside[1]}/${inside[2]}`;
	return /\/((?:src|dist)\/.*)$/.exec(url)?.[1] ?? url;
}
