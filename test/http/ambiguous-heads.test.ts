import { test } from 'node:test';
import { type Hostile, refusesEach } from './support-refusals.ts';
import { openStage } from './support-stage.ts';

test('a head that two parsers could read differently is refused, recorded, and goes nowhere', async t => {
	const stage = await openStage(t);
	const { host, origin } = stage;
	const get = (head: string, target = `${origin}/x`): string => `GET ${target} HTTP/1.1\r\n${head}\r\n\r\n`;
	const post = (head: string, body: string): string =>
		`POST ${origin}/x HTTP/1.1\r\nHost: ${host}\r\n${head}\r\n\r\n${body}`;
	const chunks = '2\r\n{}\r\n0\r\n\r\n';
	const undecodable = (name: string, bytes: string, detail: RegExp): Hostile => ({
		name,
		bytes,
		status: 400,
		cause: 'undecodable',
		detail,
	});

	await refusesEach(stage, [
		undecodable('no Host', get('Accept: */*'), /no Host/),
		undecodable('two Hosts', get(`Host: ${host}\r\nHost: evil.test`), /more than one Host/),
		undecodable('the same Host twice', get(`Host: ${host}\r\nHost: ${host}`), /more than one Host/),
		undecodable('a Host that differs', get('Host: evil.test'), /Host differs from the absolute form/),
		undecodable('a Host with another port', get('Host: tool.test:1'), /Host differs/),
		undecodable(
			'a Content-Type that Connection nominates',
			post('Content-Type: application/json\r\nContent-Length: 2\r\nConnection: x, Content-Type', '{}'),
			/Connection that nominates/,
		),
		undecodable(
			'an override in another spelling',
			post('X.HTTP.Method.Override: DELETE\r\nContent-Length: 2', '{}'),
			/another method/,
		),
		undecodable('a Host with userinfo', get(`Host: a@${host}`), /userinfo/),
		undecodable('a Host list', get(`Host: ${host}, evil.test`), /Host/),
		undecodable('an empty Host', get('Host:'), /the host is missing/),
		undecodable('userinfo', get(`Host: ${host}`, `http://user:secret@${host}/x`), /userinfo/),
		undecodable('chunked twice', post('Transfer-Encoding: chunked, chunked', chunks), /Transfer-Encoding|HPE_/),
		undecodable('identity', post('Transfer-Encoding: identity', chunks), /Transfer-Encoding|HPE_/),
		undecodable('xchunked', post('Transfer-Encoding: xchunked', chunks), /Transfer-Encoding|HPE_/),
		undecodable('gzip, chunked', post('Transfer-Encoding: gzip, chunked', chunks), /Transfer-Encoding|HPE_/),
		undecodable('a capital Chunked', post('Transfer-Encoding: Chunked', chunks), /Transfer-Encoding/),
		undecodable(
			'two Transfer-Encodings',
			post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', chunks),
			/./,
		),
		undecodable('an odd Transfer-Encoding in quotes', post('Transfer-Encoding: "chunked"', chunks), /./),
		undecodable('a tab before chunked', post('Transfer-Encoding:\tchunked;q=1', chunks), /./),
		undecodable('both lengths', post('Content-Length: 2\r\nTransfer-Encoding: chunked', chunks), /./),
		undecodable('both lengths, the other way', post('Transfer-Encoding: chunked\r\nContent-Length: 2', chunks), /./),
		undecodable('two Content-Lengths', post('Content-Length: 2\r\nContent-Length: 3', '{}x'), /./),
		undecodable('the same Content-Length twice', post('Content-Length: 2\r\nContent-Length: 2', '{}'), /./),
		undecodable('a list of Content-Lengths', post('Content-Length: 2, 2', '{}'), /./),
		undecodable('a signed Content-Length', post('Content-Length: +2', '{}'), /./),
		undecodable('a hexadecimal Content-Length', post('Content-Length: 0x2', '{}'), /./),
		undecodable('a huge Content-Length', post('Content-Length: 99999999999999999999', '{}'), /./),
		undecodable(
			'two Content-Types',
			post('Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 0', ''),
			/Content-Type/,
		),
		undecodable(
			'h2c',
			get(`Host: ${host}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ`),
			/Upgrade/,
		),
		undecodable('HTTP2-Settings alone', get(`Host: ${host}\r\nHTTP2-Settings: AAMAAABkAAQ`), /HTTP2-Settings/),
		undecodable(
			'websocket',
			get(
				`Host: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==`,
			),
			/Upgrade/,
		),
		undecodable('an Upgrade without Connection', get(`Host: ${host}\r\nUpgrade: websocket`), /Upgrade/),
		undecodable('another Expect', post('Expect: 200-ok\r\nContent-Length: 2', '{}'), /Expect/),
		undecodable('HTTP/1.0', `GET ${origin}/x HTTP/1.0\r\nHost: ${host}\r\n\r\n`, /HTTP\/1\.0/),
		undecodable('HTTP/0.9', `GET ${origin}/x\r\n\r\n`, /./),
		undecodable('HTTP/1.2', `GET ${origin}/x HTTP/1.2\r\nHost: ${host}\r\n\r\n`, /./),
		undecodable('HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /./),
		undecodable('bare line feeds', `GET ${origin}/x HTTP/1.1\nHost: ${host}\n\n`, /./),
		undecodable('a bare line feed in the head', `GET ${origin}/x HTTP/1.1\r\nHost: ${host}\nX: y\r\n\r\n`, /./),
		undecodable('a bare carriage return', get(`Host: ${host}\r\nX: a\rb`), /./),
		undecodable('a folded line', get(`Host: ${host}\r\nX: a\r\n b`), /./),
		undecodable('a space before the colon', get(`Host : ${host}`), /./),
		undecodable('a line without a colon', get(`Host: ${host}\r\nnonsense`), /./),
		undecodable('NUL in a value', get(`Host: ${host}\r\nX: a\0b`), /./),
		undecodable('a space in a name', get(`Host: ${host}\r\nX y: z`), /./),
		undecodable('white space before the first field', `GET ${origin}/x HTTP/1.1\r\n Host: ${host}\r\n\r\n`, /./),
		undecodable('a method that is none', `G@T ${origin}/x HTTP/1.1\r\nHost: ${host}\r\n\r\n`, /./),
	]);
	await stage.good('all of them');
	await stage.quiet();
});
