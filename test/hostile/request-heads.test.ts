import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';

/** HOST stands for the upstream's authority. What two parsers could read differently, byte for byte. */
const HEADS: readonly (readonly [what: string, bytes: string])[] = [
	['two Hosts', 'GET http://HOST/ HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n'],
	['no Host', 'GET http://HOST/ HTTP/1.1\r\n\r\n'],
	['a Host that differs from the absolute form', 'GET http://HOST/ HTTP/1.1\r\nHost: other.test\r\n\r\n'],
	['a Host with another port', 'GET http://HOST/ HTTP/1.1\r\nHost: crm.test:1\r\n\r\n'],
	['userinfo in the target', 'GET http://user@HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['userinfo in the Host', 'GET http://HOST/ HTTP/1.1\r\nHost: user@HOST\r\n\r\n'],
	['a fragment', 'GET http://HOST/a#b HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['a fragment in the query', 'GET http://HOST/a?b#c HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['chunked twice', 'POST http://HOST/ HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n'],
	['two Transfer-Encodings', 'POST http://HOST/ HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
	['identity', 'POST http://HOST/ HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: identity\r\n\r\n'],
	['gzip before chunked', 'POST http://HOST/ HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
	['xchunked', 'POST http://HOST/ HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
	['a capital Chunked', 'POST http://HOST/ HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n'],
	['length and chunked', 'POST http://HOST/ HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
	['two lengths', 'POST http://HOST/ HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc'],
	['a list of lengths', 'POST http://HOST/ HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3, 3\r\n\r\nabc'],
	['a signed length', 'POST http://HOST/ HTTP/1.1\r\nHost: HOST\r\nContent-Length: +3\r\n\r\nabc'],
	['a folded field', 'GET http://HOST/ HTTP/1.1\r\nHost: HOST\r\nX-A: b\r\n c\r\n\r\n'],
	['a bare line feed', 'GET http://HOST/ HTTP/1.1\nHost: HOST\n\n'],
	['a space before the colon', 'GET http://HOST/ HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n'],
	['a NUL in a field', 'GET http://HOST/ HTTP/1.1\r\nHost: HOST\r\nX-A: b\0c\r\n\r\n'],
	['an upgrade to h2c', 'GET http://HOST/ HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n'],
	['an upgrade to websocket', 'GET http://HOST/ HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
	['prior knowledge of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
	['HTTP/1.0', 'GET http://HOST/ HTTP/1.0\r\nHost: HOST\r\n\r\n'],
	['HTTP/0.9', 'GET http://HOST/\r\n\r\n'],
	['a dot segment', 'GET http://HOST/a/../b HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['an escaped dot segment', 'GET http://HOST/a/%2e%2e/b HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['half an escaped dot segment', 'GET http://HOST/a/.%2E/b HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['a dot segment with a parameter', 'GET http://HOST/a/..;x/b HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['an escaped slash', 'GET http://HOST/a%2Fb HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['an escaped backslash', 'GET http://HOST/a%5cb HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['an escaped NUL', 'GET http://HOST/a%00 HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['a broken escape', 'GET http://HOST/a%zz HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['an escape that is no UTF-8', 'GET http://HOST/a%ff HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['a backslash', 'GET http://HOST/a\\b HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['a double slash', 'GET http://HOST//a HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['origin form at a proxy', 'GET / HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['an asterisk at a proxy', 'OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['another scheme', 'GET ftp://HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['CONNECT without a port', 'CONNECT crm.test HTTP/1.1\r\nHost: crm.test\r\n\r\n'],
	['CONNECT with a path', 'CONNECT HOST/x HTTP/1.1\r\nHost: HOST\r\n\r\n'],
	['CONNECT with another Host', 'CONNECT HOST HTTP/1.1\r\nHost: other.test:443\r\n\r\n'],
	['a hexadecimal address', 'GET http://0x7f.1/ HTTP/1.1\r\nHost: 0x7f.1\r\n\r\n'],
	['a short address', 'GET http://127.1/ HTTP/1.1\r\nHost: 127.1\r\n\r\n'],
	['an octal address', 'GET http://0177.0.0.1/ HTTP/1.1\r\nHost: 0177.0.0.1\r\n\r\n'],
	['an address as one number', 'GET http://2130706433/ HTTP/1.1\r\nHost: 2130706433\r\n\r\n'],
	['an odd Expect', 'POST http://HOST/ HTTP/1.1\r\nHost: HOST\r\nExpect: 200-ok\r\nContent-Length: 0\r\n\r\n'],
	['two Content-Types', 'POST http://HOST/ HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n'],
];

test('every head that could be read in two ways is refused with a record; the upstream sees nothing, and the next good call works', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: { upstreams: { crm: { address: upstream.address, hosts: ['crm.test'], protocol: 'http' } } },
	});
	const agent = workspace.agent('a');
	const egress = sallyport.address('egress');
	for (const [what, bytes] of HEADS) {
		const before = sallyport.records().length;
		const wire = await openWire(t, egress, { agent });
		wire.send(Buffer.from(bytes.replaceAll('HOST', `crm.test:${upstream.port}`), 'latin1'));
		const answer = await until(() => /^HTTP\/1\.1 (\d{3})/.exec(wire.text()), `an answer to ${what}; got ${JSON.stringify(wire.text())}`);
		assert.match(answer[1] ?? '', /^4\d\d$/, what);
		wire.socket.destroy();
		// Before the head is understood records coalesce, so only those that were understood are counted here.
		if (/"cause":/.test(wire.text())) await until(() => sallyport.records().length > before, `a record of ${what}`);
	}
	const refusals = sallyport.records().filter(record => record.cause === 'undecodable');
	assert.ok(refusals.length > 30, `${refusals.length} records`);
	assert.equal(upstream.connections(), 0);
	const good = await curl([...throughProxy(workspace, egress, agent), `http://crm.test:${upstream.port}/good`]);
	assert.equal(good.status, 200);
	await until(async () => /sallyport_calls_open 0/.test(await sallyport.metrics()), 'no call is open');
});
