import { test } from 'node:test';
import { type Hostile, refusesEach } from './support-refusals.ts';
import { openStage } from './support-stage.ts';

const BROKEN_PATHS: Readonly<Record<string, string>> = {
	'a dot segment': '/a/./b',
	'two dots': '/a/../b',
	'two dots at the end': '/a/..',
	'escaped dots': '/a/%2e%2e/b',
	'half escaped dots': '/a/.%2E/b',
	'dots with a parameter': '/a/..;x/b',
	'an escaped slash': '/a%2fb',
	'an escaped NUL': '/a%00b',
	'a backslash': '/a\\b',
	'an escaped backslash': '/a%5cb',
	'a double slash': '/a//b',
	'a double slash at the start': '//a/b',
	'a fragment': '/a#b',
	'a fragment behind a query': '/a?b#c',
	'half an escape': '/a%2',
	'no escape': '/a%zz',
	'an overlong escape': '/a%c0%af',
	'invalid UTF-8': '/a%ff',
	'a bare quote': '/a"b',
	'a bare bracket': '/a<b>',
	'raw bytes': '/\xe9',
	'a quote in the query': '/a?"b"',
};

test('a target that two parsers could read differently is refused, recorded, and goes nowhere', async t => {
	const stage = await openStage(t);
	const { host, origin } = stage;
	const one = (name: string, target: string, named = host, method = 'GET'): Hostile => ({
		name,
		bytes: Buffer.from(`${method} ${target} HTTP/1.1\r\nHost: ${named}\r\n\r\n`, 'latin1'),
		status: 400,
		cause: 'undecodable',
		detail: /./,
	});
	const { port } = stage.tool;
	const addresses = [
		'0x7f.1',
		'127.1',
		'017.0.0.1',
		'2130706433',
		'0177.0.0.1',
		'127.0.0.1.',
		'127.0.0.256',
		'127.0.0',
	];

	await refusesEach(stage, [
		...Object.entries(BROKEN_PATHS).map(([name, path]) => one(name, `${origin}${path}`)),
		one('origin form', '/x'),
		one('the asterisk', '*', host, 'OPTIONS'),
		one('an asterisk that is not for OPTIONS', '*'),
		one('another scheme', `ftp://${host}/x`),
		one('no host', 'http:///x', ''),
		one('a host without a scheme', `${host}/x`),
		one('port 0', 'http://tool.test:0/', 'tool.test:0'),
		one('a port too great', 'http://tool.test:65536/', 'tool.test:65536'),
		one('a port with letters', 'http://tool.test:8o/', 'tool.test:8o'),
		one('an escaped host', `http://tool%2etest:${port}/`, host),
		one('a host that is not ASCII', `http://t\xf6\xf6l.test:${port}/`, `t\xf6\xf6l.test:${port}`),
		...addresses.map(address => one(address, `http://${address}:${port}/`, `${address}:${port}`)),
		one('an IPv6 literal with an odd end', `http://[::ffff:127.1]:${port}/`, `[::ffff:127.1]:${port}`),
		one('an IPv6 literal with a zone', `http://[fe80::1%25lo]:${port}/`, `[fe80::1%25lo]:${port}`),
		one('an IPv6 literal that is none', `http://[1.2.3.4:]:${port}/`, `[1.2.3.4:]:${port}`),
		one('CONNECT without a port', 'tool.test', 'tool.test', 'CONNECT'),
		one('CONNECT with a path', `${host}/x`, host, 'CONNECT'),
		one('CONNECT in absolute form', `${origin}/`, host, 'CONNECT'),
		one('CONNECT whose Host differs', host, 'evil.test:443', 'CONNECT'),
		one('CONNECT with userinfo', `a:b@${host}`, host, 'CONNECT'),
		...addresses.map(address => one(`CONNECT ${address}`, `${address}:${port}`, `${address}:${port}`, 'CONNECT')),
		{
			...one('CONNECT with a length', host, host, 'CONNECT'),
			bytes: `CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\n\r\nhello`,
		},
		{
			...one('CONNECT with chunks', host, host, 'CONNECT'),
			bytes: `CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
		},
	]);
	await stage.good('all of them');
	await stage.quiet();
});
