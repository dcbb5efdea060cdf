import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { BUILTINS } from '../../src/policy/builtins/registry.ts';
import { openEngine } from '../../src/policy/engine.ts';
import { readTar } from '../../src/policy/tar.ts';
import { folder, MEMORY, theOpa } from './support.ts';

/**
 * Every built-in that Sallyport supplies, against `opa eval`. Operands stand in the input, so that the compiler
 * cannot work them out. The last element of a row tells what `opa` says; here it only has to be the same.
 */
type Row = readonly [builtin: string, ...operands: readonly unknown[]];

const NANOS = 1_700_000_123_456_789_012n;
const raw = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;
const nanos = raw(String(NANOS));

const ROWS: readonly Row[] = [
	['sprintf', '%s is %d, %v and %5.2f|%-6s|%06d|%x|%q', ['a', 42, [1, 'b'], 2.34567, 'ab', -42, 255, 'q"\n']],
	['sprintf', '%d %s', ['x', 3]],
	['sprintf', '%v %v %v %v', [null, true, { b: 1, a: [2] }, 1.5]],
	['sprintf', '%d', []],
	['sprintf', '%d', [1, 2]],
	['sprintf', '%t %%', [true]],
	['sprintf', '%e %g %f %.3g', [123456.789, 1e21, 0.1, 1234.5678]],
	['sprintf', '%+d % d %#x %b %o %X %c %U', [5, 6, 255, 5, 8, 255, 65, 128512]],
	['sprintf', '%[2]d %[1]d', [1, 2]],
	['sprintf', '%*d|%-*d|', [5, 1, 5, 2]],
	['sprintf', '%v', [raw('12345678901234567890')]],
	['sprintf', '%', [1]],
	['sprintf', '%!', [1]],
	['sprintf', '%5s|%-5s|%.2s', ['äö', 'b', 'abc']],
	['sprintf', '%v', [0.000001234]],
	['sprintf', '%T %T %T', [1, 'a', 1.5]],
	['strings.any_prefix_match', ['a/b', 'c'], ['x', 'a/']],
	['strings.any_prefix_match', 'abc', 'b'],
	['strings.any_suffix_match', ['a/b', 'c'], ['x', '/b']],
	['strings.any_suffix_match', 'abc', ['bc']],
	['strings.any_suffix_match', 1, ['bc']],
	['strings.count', 'cheese', 'e'],
	['strings.count', 'cheese', ''],
	['strings.split_n', 'a,b,c', ',', 2],
	['strings.split_n', 'a,b,c', ',', -1],
	['strings.split_n', 'a,b,c', ',', 0],
	['strings.split_n', 'abc', '', 2],
	['indexof_n', 'aäbäb', 'äb'],
	['indexof_n', 'aaa', 'aa'],
	['indexof_n', 'aaa', ''],
	['semver.compare', '1.2.3', '1.10.0'],
	['semver.compare', '1.0.0-alpha.1', '1.0.0-alpha.beta'],
	['semver.compare', '1.0.0-rc.1', '1.0.0'],
	['semver.compare', '1.0.0', 'x'],
	['semver.is_valid', '1.0.0-rc.1+b.2'],
	['semver.is_valid', '01.0.0'],
	['semver.is_valid', 1],
	['glob.quote_meta', '*.domain[a]{b}?\\'],
	['trace', 'x'],
	// biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of Go's replacements
	['regex.replace', 'foo-bar-baz', '(\\w+)-(\\w+)', '$2_${1}!'],
	['regex.replace', 'abc', 'x*', '-'],
	['regex.replace', 'äbc', '', '-'],
	// biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of Go's replacements
	['regex.replace', 'aaa', '(?P<n>a)', '<${n}>$1x'],
	['regex.replace', 'abc', '(', 'x'],
	['regex.replace', 'a.b', '\\.', '$$'],
	['regex.find_n', 'a.', 'paranormal', 2],
	['regex.find_n', 'a.', 'paranormal', -1],
	['regex.find_n', 'a*', 'baaac', -1],
	['regex.split', ',\\s*', 'a, b,c,'],
	['regex.split', '', 'abc'],
	['regex.split', 'a', ''],
	['regex.split', 'z+', 'pizza'],
	['regex.template_match', 'urn:foo:{.*}', 'urn:foo:bar:baz', '{', '}'],
	['regex.template_match', 'urn.foo:{\\d+}x', 'urnxfoo:12x', '{', '}'],
	['regex.template_match', 'urn{', 'a', '{', '}'],
	['crypto.md5', 'ä'],
	['crypto.sha1', 'ä'],
	['crypto.sha256', 'ä'],
	['crypto.sha256', 1],
	['crypto.hmac.md5', 'a', 'k'],
	['crypto.hmac.sha1', 'a', 'k'],
	['crypto.hmac.sha256', 'a', 'k'],
	['crypto.hmac.sha512', 'a', 'k'],
	['crypto.hmac.equal', 'a', 'a'],
	['crypto.hmac.equal', 'a', 'b'],
	['hex.encode', 'äb'],
	['hex.decode', 'c3a462'],
	['hex.decode', 'c3a46'],
	['base64url.encode_no_pad', 'ä?>'],
	['urlquery.encode', "a b&c=ä/~*'()"],
	['urlquery.decode', 'a+b%26c%3D%C3%A4'],
	['urlquery.decode', 'a%2'],
	['urlquery.encode_object', { b: 'x y', a: ['1', '2'] }],
	['urlquery.decode_object', 'a=1&b=2&a=3%20&c'],
	['urlquery.decode_object', 'a=1;b=2'],
	['io.jwt.decode', 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhIiwibiI6MX0.AQIDBA'],
	['io.jwt.decode', 'a.b'],
	['io.jwt.decode', 'e30.e30.'],
	['uuid.parse', '6ba7b810-9dad-11d1-80b4-00c04fd430c8'],
	['uuid.parse', '00000001-0000-2000-8000-00c04fd430c8'],
	['uuid.parse', 'urn:uuid:f81d4fae-7dec-41d0-a765-00a0c91e6bf6'],
	['uuid.parse', 'nope'],
	['units.parse', '10K'],
	['units.parse', '1.5Mi'],
	['units.parse', '300m'],
	['units.parse', '2M'],
	['units.parse', '1e3'],
	['units.parse', '12x'],
	['units.parse', ''],
	['units.parse_bytes', '10KB'],
	['units.parse_bytes', '1.5MiB'],
	['units.parse_bytes', '7'],
	['units.parse_bytes', '0.0001KB'],
	['units.parse_bytes', '1 KB'],
	['numbers.range_step', 1, 10, 3],
	['numbers.range_step', 10, 1, 4],
	['numbers.range_step', 1, 10, 0],
	['object.subset', { a: 1, b: { c: 2, d: 3 } }, { b: { c: 2 } }],
	['object.subset', { a: 1 }, { a: 2 }],
	['object.subset', [1, 2, 3, 4], [2, 3]],
	['object.subset', [1, 2, 3, 4], [2, 4]],
	['object.subset', { a: [1, 2, 3] }, { a: [1, 2] }],
	['object.subset', { a: [1, 2, 3] }, [1]],
	[
		'json.patch',
		{ a: { foo: 1 } },
		[
			{ op: 'add', path: '/a/bar', value: 2 },
			{ op: 'remove', path: 'a/foo' },
		],
	],
	[
		'json.patch',
		{ a: [1, 2, 3] },
		[
			{ op: 'add', path: '/a/1', value: 9 },
			{ op: 'add', path: '/a/-', value: 8 },
			{ op: 'replace', path: '/a/0', value: 7 },
		],
	],
	[
		'json.patch',
		{ a: 1 },
		[
			{ op: 'copy', from: '/a', path: '/b' },
			{ op: 'move', from: '/a', path: '/c' },
			{ op: 'test', path: '/b', value: 1 },
		],
	],
	['json.patch', { a: 1 }, [{ op: 'test', path: '/a', value: 2 }]],
	['json.patch', { a: 1 }, [{ op: 'remove', path: '/x' }]],
	['json.patch', { 'a/b': 1 }, [{ op: 'replace', path: '/a~1b', value: 3 }]],
	['net.cidr_expand', '192.168.1.4/30'],
	['net.cidr_expand', '2001:db8::/127'],
	['net.cidr_expand', 'x'],
	['net.cidr_merge', ['192.0.128.0/24', '192.0.129.0/24']],
	['net.cidr_merge', ['10.0.0.1', '10.0.0.0/31', '10.0.1.0/24', '2001:db8::/33', '2001:db8:8000::/33']],
	['net.cidr_contains_matches', '1.1.1.0/24', '1.1.1.128'],
	['net.cidr_contains_matches', ['1.1.1.0/24', '1.1.2.0/24'], '1.1.1.128'],
	['net.cidr_contains_matches', [['1.1.0.0/16', 'foo'], '1.1.2.0/24'], ['1.1.1.128', ['1.1.254.254', 'bar']]],
	['net.cidr_contains_matches', { x: '1.1.0.0/16' }, { y: '1.1.1.128', z: '2.2.2.2' }],
	['net.cidr_is_valid', '10.0.0.0/8'],
	['net.cidr_is_valid', '10.0.0.0/33'],
	['net.cidr_is_valid', '2001:db8::/32'],
	['time.now_ns'],
	['time.parse_rfc3339_ns', '2024-02-29T12:34:56.789012345+02:00'],
	['time.parse_rfc3339_ns', '2023-02-29T12:34:56Z'],
	['time.parse_rfc3339_ns', '2600-02-28T12:34:56Z'],
	['time.parse_ns', '2006-01-02 15:04:05 -0700', '2024-07-01 08:09:10 +0530'],
	['time.parse_ns', 'RFC1123Z', 'Mon, 02 Jan 2006 15:04:05 -0700'],
	['time.parse_ns', 'Jan _2 06 3:04PM', 'Mar  5 24 1:07PM'],
	['time.parse_ns', '2006-01-02', '2024-13-01'],
	['time.parse_ns', '2006-01-02T15:04:05Z07:00', '2024-01-02T15:04:05.25Z'],
	['time.parse_duration_ns', '-1h30m5.5s'],
	['time.parse_duration_ns', '1x'],
	['time.parse_duration_ns', '0'],
	['time.date', nanos],
	['time.date', [nanos, 'America/New_York']],
	['time.clock', [nanos, 'Asia/Kolkata']],
	['time.clock', nanos],
	['time.weekday', nanos],
	['time.weekday', [nanos, 'Pacific/Auckland']],
	['time.weekday', [nanos, 'Nowhere/Land']],
	['time.weekday', raw('92233720368547758080')],
	['time.format', nanos],
	['time.format', [nanos, 'Europe/Berlin']],
	['time.format', [nanos, 'UTC', 'Monday, 2 January 2006 03:04:05.000 PM MST']],
	['time.format', [nanos, 'America/New_York', 'RFC850']],
	['time.format', [nanos, 'Europe/Berlin', '06-1-_2 15h 002 -07 Z0700 .999']],
	['time.add_date', nanos, 1, 2, 30],
	['time.add_date', raw('1706659200000000000'), 0, 1, 0],
	['time.add_date', nanos, -1, -12, -1],
	['time.diff', nanos, raw('1600000000000000000')],
	['time.diff', raw('1709251200000000000'), raw('1706745599000000000')],
];

const INPUT_TIME = '2024-05-06T07:08:09.123Z';

test('every built-in answers as in opa', async t => {
	const lines = ROWS.map(([name, ...operands], row) => {
		const args = operands.map((_, index) => `input.rows[${row}][${index}]`).join(', ');
		return name === 'time.now_ns' ? '' : `r["${row}"] := ${name}(${args})`;
	});
	const rego = `package t\n\nr.known := true\n${lines.join('\n')}\n`;
	const root = await folder(t, { 't.rego': rego });
	const opa = await theOpa();
	const input = JSON.stringify({ time: INPUT_TIME, rows: ROWS.map(([, ...operands]) => operands) });
	const expected = await opa.run(['eval', '-b', root, '--format', 'json', '--stdin-input', 'data.t.r'], { input });
	assert.equal(expected.status, 0, expected.stderr + expected.stdout);

	const output = join(root, 'bundle.tar.gz');
	const built = await opa.run(['build', '-b', root, '-t', 'wasm', '-e', 't/r', '-o', output]);
	assert.equal(built.status, 0, built.stderr);
	const wasm = readTar(gunzipSync(await readFile(output)), { entries: 10 }).find(entry => entry.path === 'policy.wasm');
	assert.ok(wasm);
	const engine = openEngine(await WebAssembly.compile(wasm.bytes), Buffer.from('{}'), {
		memory: MEMORY,
		builtins: BUILTINS,
	});
	const evaluated = engine.evaluate(engine.entrypoints.get('t/r') ?? 0, input);
	assert.ok('raw' in evaluated, 'error' in evaluated ? evaluated.error : '');

	const said = results(
		expected.stdout,
		text =>
			(JSON.parse(text, exact) as { result: { expressions: { value: unknown }[] }[] }).result[0]?.expressions[0]?.value,
	);
	const ours = results(evaluated.raw, text => (JSON.parse(text, exact) as { result: unknown }[])[0]?.result);
	for (const [row, [name, ...operands]] of ROWS.entries()) {
		if (name === 'time.now_ns') continue;
		await t.test(`${name}(${JSON.stringify(operands).slice(1, -1)})`, () => {
			assert.deepEqual(ordered(name, ours[String(row)]), ordered(name, said[String(row)]));
		});
	}
});

test('the table has every built-in that is supplied', () => {
	const covered = new Set(ROWS.map(([name]) => name));
	const elsewhere = new Set(['json.match_schema', 'json.verify_schema']);
	assert.deepEqual(
		[...BUILTINS.keys()].filter(name => !covered.has(name) && !elsewhere.has(name)),
		[],
	);
});

/** Numbers as they are written: nanoseconds are beyond 2^53. */
const exact = (_: string, value: unknown, context?: { readonly source?: string }): unknown =>
	typeof value === 'number' &&
	!Number.isSafeInteger(value) &&
	context?.source !== undefined &&
	/^-?\d+$/.test(context.source)
		? context.source
		: value;

function results(text: string, pick: (text: string) => unknown): Readonly<Record<string, unknown>> {
	const value = pick(text);
	assert.ok(typeof value === 'object' && value !== null);
	return value as Readonly<Record<string, unknown>>;
}

/** Built-ins whose result is a set, which is printed as a list in any order. */
const SETS: ReadonlySet<string> = new Set(['net.cidr_expand', 'net.cidr_merge', 'net.cidr_contains_matches']);

const ordered = (name: string, value: unknown): unknown =>
	SETS.has(name) && Array.isArray(value) ? value.map(item => JSON.stringify(item)).sort() : value;
