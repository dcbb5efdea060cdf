import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeQuery, decodeSegments, parseAuthority, parseRequestTarget } from '../../src/formats/request-target.ts';

test('authorities: host in lower case, without a trailing dot, IPv6 without brackets', () => {
	assert.deepEqual(parseAuthority('Crm.Internal:8443'), { host: 'crm.internal', port: 8443 });
	assert.deepEqual(parseAuthority('crm.internal.'), { host: 'crm.internal', port: undefined });
	assert.deepEqual(parseAuthority('a_b.test'), { host: 'a_b.test', port: undefined });
	assert.deepEqual(parseAuthority('xn--bcher-kva.example'), { host: 'xn--bcher-kva.example', port: undefined });
	assert.deepEqual(parseAuthority('127.0.0.1:80'), { host: '127.0.0.1', port: 80 });
	assert.deepEqual(parseAuthority('[2001:DB8::1]:443'), { host: '2001:db8::1', port: 443 });
	assert.deepEqual(parseAuthority('[::ffff:127.0.0.1]'), { host: '::ffff:127.0.0.1', port: undefined });
	assert.deepEqual(parseAuthority('1.2.3.4.example'), { host: '1.2.3.4.example', port: undefined });
});

test('authorities that are broken', () => {
	const broken = [
		...[
			'',
			'user@host',
			'a:b@host',
			'host:',
			'host:0',
			'host:65536',
			'host:-1',
			'host:80:80',
			'host: 80',
			'ho st',
			'host/x',
		],
		...[
			'.host',
			'host..test',
			'-host',
			'host-',
			`${'a'.repeat(64)}.test`,
			`${'a.'.repeat(130)}test`,
			'h%6fst',
			'h\u00f6st',
			'host\0',
		],
		...[
			'0x7f.1',
			'127.1',
			'017.0.0.1',
			'2130706433',
			'0',
			'1.2.3.4.',
			'1.2.3.256',
			'1.2.3',
			'x.0x1',
			'host.1',
			'00.0.0.1',
		],
		...[
			'[::1',
			'::1',
			'[::1]x',
			'[::1]:',
			'[fe80::1%25lo]',
			'[1.2.3.4]',
			'[::ffff:127.1]',
			'[:::]',
			'[12345::]',
			'[]',
			'[v1.x]',
		],
	];
	for (const text of broken) assert.ok('broken' in parseAuthority(text), text);
});

test('targets in the four forms, byte for byte', () => {
	assert.deepEqual(parseRequestTarget('GET', '/a/b%3B?c=d&e'), { form: 'origin', path: '/a/b%3B', query: 'c=d&e' });
	assert.deepEqual(parseRequestTarget('GET', '/?'), { form: 'origin', path: '/', query: '' });
	const absolute = parseRequestTarget('GET', 'HTTP://Crm.test:81/A?b');
	assert.ok(!('broken' in absolute) && absolute.form === 'absolute');
	assert.equal(absolute.scheme, 'http');
	assert.deepEqual(absolute.authority, { host: 'crm.test', port: 81 });
	assert.equal(absolute.path, '/A');
	assert.equal(absolute.query, 'b');
	const bare = parseRequestTarget('GET', 'https://crm.test?x');
	assert.ok(!('broken' in bare) && bare.form === 'absolute');
	assert.deepEqual([bare.path, bare.query], ['/', 'x']);
	assert.deepEqual(parseRequestTarget('CONNECT', 'crm.test:443'), {
		form: 'authority',
		authority: { host: 'crm.test', port: 443 },
	});
	assert.deepEqual(parseRequestTarget('OPTIONS', '*'), { form: 'asterisk' });
	for (const [method, text] of [
		['GET', '*'],
		['CONNECT', 'crm.test'],
		['CONNECT', '/'],
		['GET', 'crm.test/'],
		['GET', 'ws://crm.test/'],
		['GET', '//crm.test/'],
		['GET', 'http:/crm.test/'],
		['GET', ''],
		['GET', 'http://'],
	] as const)
		assert.ok('broken' in parseRequestTarget(method, text), `${method} ${text}`);
});

test('segments are decoded where that has one reading', () => {
	assert.deepEqual(decodeSegments('/a/b%20c/'), ['a', 'b c', '']);
	assert.deepEqual(decodeSegments('/'), ['']);
	assert.deepEqual(decodeSegments('/caf%C3%A9'), ['caf\u00e9']);
	assert.deepEqual(decodeSegments('/a;b=c/...'), ['a;b=c', '...']);
	for (const path of [
		'/.',
		'/..',
		'/a/./b',
		'/a/../b',
		'/%2e',
		'/%2E%2e',
		'/.%2e',
		'/..;x',
		'/a%2Fb',
		'/a%5Cb',
		'/a%00',
		'/a//b',
		'//',
		'/%ff',
		'/%c0%af',
		'/%',
		'/%4',
		'/%zz',
		'/%61',
	])
		assert.equal(decodeSegments(path), undefined, path);
});

test('queries become lists by name', () => {
	assert.deepEqual(
		[...(decodeQuery('a=1&b=&c&a=%202+3&&=x') ?? [])],
		[
			['a', ['1', ' 2 3']],
			['b', ['']],
			['c', ['']],
			['', ['x']],
		],
	);
	assert.deepEqual([...(decodeQuery('__proto__=1') ?? [])], [['__proto__', ['1']]]);
	assert.equal(decodeQuery('a=%ff'), undefined);
	assert.equal(decodeQuery('%zz'), undefined);
});

for (const [path, rule] of [
	['/a/../b', 'a dot segment'],
	['/a/%2e%2e/b', 'a dot segment'],
	['/a/..;x/b', 'a dot segment'],
	['//x', 'an empty segment'],
	['/%41', 'an escaped character that needs no escape'],
	['/a%2fb', 'an escaped slash or backslash'],
	['/a%5cb', 'an escaped slash or backslash'],
	['/a%00', 'an escaped NUL'],
	['/%ff', 'an escape that is not UTF-8'],
] as const)
	test(`${path} is refused by the one rule that it breaks`, () =>
		assert.deepEqual(parseRequestTarget('GET', path), { broken: `the path has ${rule}` }));
