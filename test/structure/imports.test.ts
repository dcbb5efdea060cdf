import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importsOf, loadedBy, readJson, sources } from './sources.ts';

/** Rows from top to bottom; imports point only downward, and the parts of one row never import each other. */
const ROWS: readonly (readonly string[])[] = [
	['main.ts', 'app.ts'],
	['reload.ts'],
	['cli'],
	['proxy', 'admin'],
	['identity', 'protocols', 'policy', 'audit', 'state'],
	['config', 'telemetry', 'kernel', 'transfer'],
	['formats'],
	['model'],
];

const files = sources(['src'], /\.ts$/);
const graph = new Map(files.map(file => [file.path, importsOf(file)]));

/** `src/policy/opa.ts` is of the part `policy`, `src/main.ts` of `main.ts`. */
const partOf = (path: string): string => path.split('/')[1] ?? '';
const rowOf = (path: string): number => ROWS.findIndex(row => row.includes(partOf(path)));

test('every file of src/ belongs to a row', () => {
	assert.deepEqual(
		files.map(file => file.path).filter(path => rowOf(path) === -1),
		[],
	);
});

test('imports point downward, never sideways', () => {
	const wrong: string[] = [];
	for (const [path, imports] of graph) {
		for (const imported of imports.filter(name => name.startsWith('src/'))) {
			const down = rowOf(path) < rowOf(imported);
			const within = partOf(path) === partOf(imported);
			const start = partOf(path) === 'main.ts' && partOf(imported) === 'app.ts';
			if (!down && !within && !start) wrong.push(`${path} imports ${imported}`);
		}
	}
	assert.deepEqual(wrong, []);
});

test('a protocol imports only its own folder, the contract, formats and model', () => {
	const wrong: string[] = [];
	for (const [path, imports] of graph) {
		const folder = /^src\/protocols\/[^/]+\//.exec(path)?.[0];
		if (folder === undefined) continue;
		for (const imported of imports) {
			const allowed = [folder, 'src/protocols/contract.ts', 'src/formats/', 'src/model/'];
			const pure = imported.startsWith('node:') && !/^node:(net|tls|http|https|http2|dgram|dns|timers)/.test(imported);
			if (!pure && !allowed.some(start => imported.startsWith(start))) wrong.push(`${path} imports ${imported}`);
		}
	}
	assert.deepEqual(wrong, []);
});

test('the model imports nothing, formats do no input or output', () => {
	const wrong: string[] = [];
	for (const { path, text } of files) {
		// Whether a text is an address can be asked without opening anything.
		const asks = /^import \{ isIP(v4|v6)?(, isIP(v4|v6)?)* \} from 'node:net'/m.test(text);
		for (const imported of graph.get(path) ?? []) {
			const opens = /^node:(fs|net|tls|http|child_process|dns)/.test(imported) && !(imported === 'node:net' && asks);
			if (partOf(path) === 'model' && !imported.startsWith('src/model/')) wrong.push(`${path} imports ${imported}`);
			if (partOf(path) === 'formats' && opens) wrong.push(`${path} imports ${imported}`);
		}
	}
	assert.deepEqual(wrong, []);
});

test('there are no cycles', () => {
	const done = new Set<string>();
	const cycles: string[] = [];
	const visit = (path: string, trail: readonly string[]): void => {
		const at = trail.indexOf(path);
		if (at !== -1) {
			cycles.push([...trail.slice(at), path].join(' -> '));
			return;
		}
		if (done.has(path)) return;
		for (const imported of graph.get(path) ?? []) if (graph.has(imported)) visit(imported, [...trail, path]);
		done.add(path);
	};
	for (const path of graph.keys()) visit(path, []);
	assert.deepEqual(cycles, []);
});

test('src/ imports only what is declared as a dependency', () => {
	const declared = Object.keys(readJson('package.json')['dependencies'] as object);
	const outside = [...graph].flatMap(([path, imports]) =>
		imports
			.filter(name => !name.startsWith('src/') && !name.startsWith('node:'))
			.filter(name => !declared.some(dependency => name === dependency || name.startsWith(`${dependency}/`)))
			.map(name => `${path} imports ${name}`),
	);
	assert.deepEqual(outside, []);
});

test('every import of a file names a file that is there', () => {
	const missing = [...graph].flatMap(([path, imports]) =>
		imports.filter(name => name.startsWith('src/') && !graph.has(name)).map(name => `${path} imports ${name}`),
	);
	assert.deepEqual(missing, []);
});

test('starting loads no library that only some sidecars need, or none once the configuration is read', () => {
	const serving = new Set<string>();
	const visit = (path: string): void => {
		if (serving.has(path)) return;
		serving.add(path);
		const text = files.find(file => file.path === path)?.text ?? '';
		for (const imported of loadedBy({ path, text })) visit(imported);
	};
	visit('src/app.ts');
	assert.ok(serving.has('src/proxy/proxy.ts') && serving.has('pino'));
	const spared = /^(zod|yaml|node-forge|undici|@grpc\/|@nats-io\/|@opentelemetry\/|koffi|commander)/;
	assert.deepEqual(
		[...serving].filter(name => spared.test(name)),
		[],
	);
});
