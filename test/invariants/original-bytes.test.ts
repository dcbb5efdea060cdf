import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { exchangeRaw, openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('path, query and body arrive as they were sent and judged; what has two readings does not arrive', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: { upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } } },
		policy: policyOf('allow if is_object(input.http.body)\nallow if not input.http.body'),
	});
	const egress = sallyport.address('egress');
	const agent = workspace.agent('a');
	const host = `crm.internal:${upstream.port}`;
	const origin = `http://${host}`;
	const send = async (bytes: string): Promise<string> => {
		const wire = await openWire(t, egress, { agent });
		wire.send(bytes);
		const answer = await wire.receives('\r\n\r\n');
		wire.socket.destroy();
		return answer;
	};

	// A parser that prints what it read would change the number, the spaces and the escapes.
	const body = '{ "amount": 1.10, "n": 1E2, "a":"\\u0041" }';
	const path = "/a%3Bb/%7Euser;v=1/'x'?q=%20+&q=2&empty";
	const answer = await send(
		`POST ${origin}${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
	);
	assert.match(answer, /^HTTP\/1\.1 200 /);
	const raw = upstream.raw().toString('latin1');
	assert.ok(raw.startsWith(`POST ${path} HTTP/1.1\r\n`), raw);
	assert.ok(raw.endsWith(`\r\n\r\n${body}`), raw);

	const post = (headers: string, text: string, target = origin): string =>
		`POST ${target}/x HTTP/1.1\r\n${headers}\r\n\r\n${text}`;
	const json = 'Content-Type: application/json';
	const twofold: Readonly<Record<string, string>> = {
		'two Hosts': post(`Host: ${host}\r\nHost: evil\r\nContent-Length: 2`, '{}'),
		'a Host that differs': post('Host: evil\r\nContent-Length: 2', '{}'),
		'two lengths': post(`Host: ${host}\r\nContent-Length: 2\r\nContent-Length: 3`, '{}x'),
		'length and chunks': post(
			`Host: ${host}\r\nContent-Length: 2\r\nTransfer-Encoding: chunked`,
			'2\r\n{}\r\n0\r\n\r\n',
		),
		'an odd encoding': post(`Host: ${host}\r\nTransfer-Encoding: gzip, chunked`, '2\r\n{}\r\n0\r\n\r\n'),
		userinfo: post(`Host: ${host}\r\nContent-Length: 2`, '{}', `http://user@${host}`),
		'a fragment': `GET ${origin}/x#y HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
		'dot segments': `GET ${origin}/a/%2e%2e/b HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
		'an escaped slash': `GET ${origin}/a%2Fb HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
		'an upgrade': `GET ${origin}/x HTTP/1.1\r\nHost: ${host}\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n`,
		'duplicate keys': post(`Host: ${host}\r\n${json}\r\nContent-Length: 13`, '{"a":1,"a":2}'),
		'a line folded': post(`Host: ${host}\r\nX: a\r\n b\r\nContent-Length: 2`, '{}'),
		'a space before the colon': post(`Host : ${host}\r\nContent-Length: 2`, '{}'),
	};
	const before = upstream.seen.length;
	for (const [name, bytes] of Object.entries(twofold)) {
		const said = await exchangeRaw(t, egress, bytes.replace('\r\n', '\r\nConnection: close\r\n'), { agent }).catch(
			String,
		);
		assert.match(said, /^HTTP\/1\.1 4\d\d /, name);
		assert.equal(upstream.seen.length, before, name);
	}
});
