import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type Bundle, readBundle } from '../../src/policy/bundle.ts';
import { compile } from '../../src/policy/compile.ts';
import { explain } from '../../src/policy/explain.ts';
import { readTar, writeTar } from '../../src/policy/tar.ts';
import { folder, theOpa } from '../policy/support.ts';

test("a bundle's Rego asks no host and learns nothing of where a decision is explained", async t => {
	let asked = 0;
	const server = createServer((_request, response) => {
		asked++;
		response.end('{"type": "object"}');
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => server.close());
	const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
	const opa = await theOpa();
	const good = await compile(opa, [await folder(t, { 'r.rego': 'package sallyport.request\n\nallow := true\n' })]);
	/** The module is what it was; the Rego beside it is another one. */
	const withRego = async (body: string): Promise<Bundle> => {
		const rego = Buffer.from(`package sallyport.request\n\nallow if {\n\t${body}\n}\n`);
		const entries = readTar(gunzipSync(good.archive), { entries: 100 });
		const changed = entries.map(({ path, bytes }) => ({ path, bytes: path.endsWith('r.rego') ? rego : bytes }));
		return await readBundle(gzipSync(writeTar(changed)), 'changed.tar.gz');
	};
	const input = '{"time":"2026-03-03T00:00:00Z"}';
	for (const [name, body] of [
		['http.send', `http.send({"method": "POST", "url": "${url}", "body": input}).status_code == 200`],
		['opa.runtime', 'opa.runtime().env.HOME'],
		['net.lookup_ip_addr', 'net.lookup_ip_addr("localhost")'],
	] as const)
		await assert.rejects(
			explain(opa, await withRego(body), 'request', input),
			new RegExp(`undefined function ${name}`),
		);
	const schema = await explain(opa, await withRego(`json.match_schema({}, {"$ref": "${url}"})[0]`), 'request', input);
	assert.ok(schema.rules.every(({ holds }) => !holds));
	assert.equal(asked, 0);
	const local = await explain(opa, await withRego('json.match_schema({}, {"type": "object"})[0]'), 'request', input);
	assert.ok(local.rules.some(({ holds }) => holds));
});
