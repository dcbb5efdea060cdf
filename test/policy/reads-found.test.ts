import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentPolicy } from '../../src/policy/set.ts';
import { loaded } from './support.ts';

/** What policy reads must be found however it is written: a key that is not built makes a deny rule fall silent. */
const FORMS: readonly (readonly [rego: string, ...paths: readonly string[]])[] = [
	['deny contains "x" if input.http.path == "/"', 'http.path'],
	['deny contains "x" if input["http"]["x-y"]', 'http["x-y"]'],
	['deny contains input.http.method', 'http.method'],
	['deny contains "x" if {\n\tall := input\n\tall.http.body.deep == 1\n}', 'http.body.deep'],
	['deny contains "x" if {\n\tbody := input.http.body\n\tbody.deep == 1\n}', 'http.body'],
	['deny contains "x" if input.http[input.mcp.tool]', 'http', 'mcp.tool'],
	['deny contains key if some key, _ in input.http.headers', 'http.headers'],
	['deny contains "x" if input.sql.statements[0].verb == "DROP"', 'sql.statements'],
	['deny contains "x" if {\n\tsome table in input.sql.tables\n\ttable == "users"\n}', 'sql.tables'],
	[
		'deny contains "x" if {\n\tevery table in input.sql.tables {\n\t\ttable == input.mcp.tool\n\t}\n}',
		'mcp.tool',
		'sql.tables',
	],
	['deny contains "x" if object.get(input, ["http", "body"], null) == null', '*'],
	['deny contains "x" if object.get(input.http, "body", null) == null', 'http'],
	['deny contains "x" if walk(input.http.body, [_, "secret"])', 'http.body'],
	['deny contains "x" if not input.http.body.ok', 'http.body.ok'],
	['deny contains "x" if {v | some v in input.http.query.a} == {"1"}', 'http.query.a'],
	['deny contains $"no {input.http.path}"', 'http.path'],
	['deny contains "x" if _is_bad(input.http)\n\n_is_bad(call) if call.body == 1', 'http'],
	['deny contains "x" if data.lib.bad\n', 'grpc.message'],
	['deny contains "x" if data.lib[input.mcp.tool]\n', 'grpc.message', 'mcp.tool', 'redis.keys'],
	['deny contains "x" if data[input.mcp.tool].bad\n', 'grpc.message', 'mcp.tool', 'redis.keys'],
	['deny contains "x" if {\n\tsome package_name\n\tdata[package_name].bad\n}', 'grpc.message', 'redis.keys'],
	['deny contains "x" if data.lib.f(1)', 'redis.keys'],
	['deny contains "x" if data.lib.bad with input.grpc as input.http', 'grpc', 'grpc.message', 'http'],
	['deny contains "x" if time.now_ns() > 1', 'time'],
];

const LIB =
	'package lib\n\nbad if input.grpc.message.x\n\nbad if input.grpc.message\n\nf(x) if input.redis.keys == x\n\ngood if f(2)\n';

for (const [rego, ...paths] of FORMS) {
	test(rego.replaceAll(/\s+/g, ' '), async t => {
		const bundle = await loaded(t, { 'request.rego': `package sallyport.request\n\n${rego}\n`, 'lib.rego': LIB });
		const reads = agentPolicy([bundle]).reads('request');
		for (const path of paths) {
			const keys = path === '*' ? [] : path.replace('["', '.').replace('"]', '').split('.');
			assert.ok(reads.all(...keys) || reads.has(...keys), `${path} in ${JSON.stringify(reads.paths)}`);
			assert.notEqual(reads.paths, undefined);
		}
		const known = new Set(paths.map(path => path.split(/[.[]/)[0]));
		// A reference to any package reaches the contract's own, which looks at the whole input: too much is safe.
		if (!known.has('*') && !rego.includes('data['))
			for (const path of reads.paths ?? [])
				assert.ok(known.has(path.split(/[.[]/)[0] ?? ''), `nothing else than ${path}`);
	});
}
