import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf, waysOf } from '../../src/config/way.ts';
import { configOf, GOOD, problemsOf } from './fixture.ts';

const UPSTREAMS = `upstreams:
  web: { address: web.internal:443, protocol: http }
  db: { address: db.internal:5432, protocol: postgres }
  raw: { address: raw.internal:1, protocol: tcp }
`;
const TOKEN = '{ token: { directory: tokens, agents: ["spiffe://example.org/agents/a"] } }';
const JWT = '{ jwt_svid: { audience: [sallyport] } }';
const UNIX = '{ unix: { users: { 1001: spiffe://example.org/agents/a } } }';
const AS = '{ as: spiffe://example.org/agents/a }';

/** A configuration whose second listener, on lines 11 to 14, is known so. */
const withDoor = (upstream: string, address: string, authenticate: string): string =>
	`${GOOD}  - name: door
    address: ${address}
    upstream: ${upstream}
    authenticate: ${authenticate}
${UPSTREAMS}`;
const TCP = '127.0.0.1:17402';
const SOCKET = 'unix:run/door.sock';

test('ways that go together', () => {
	for (const [upstream, address, authenticate] of [
		['web', TCP, `[mtls, ${TOKEN}]`],
		['web', TCP, `[${TOKEN}, mtls]`],
		['web', '0.0.0.0:17402', `[mtls, ${JWT}]`],
		['web', TCP, `[{ jwt_svid: { audience: [a], header: X-Jwt } }, ${TOKEN}]`],
		['web', SOCKET, `[mtls, ${TOKEN}, ${UNIX}]`],
		['web', SOCKET, `[${AS}]`],
		['db', TCP, `[mtls, ${TOKEN}]`],
		['db', SOCKET, `[mtls, ${UNIX}]`],
		['raw', SOCKET, `[mtls, ${AS}]`],
	] as const)
		assert.deepEqual(problemsOf(withDoor(upstream, address, authenticate)), [], authenticate);
});

test('a list is what it says, in its order, and one way is a list of one', () => {
	const [egress, door] = configOf(
		withDoor('web', SOCKET, `[{ jwt_svid: { audience: [a], header: X-Jwt } }, ${TOKEN}, ${UNIX}]`),
	).listeners;
	assert.deepEqual(egress && waysOf(egress), ['mtls']);
	assert.deepEqual(door && waysOf(door).map(way => Object.keys(way)[0]), ['jwt_svid', 'token', 'unix']);
	assert.deepEqual(door && settingsOf(door, 'jwt_svid'), { audience: ['a'], header: 'x-jwt' });
	assert.deepEqual(door && settingsOf(door, 'unix'), { users: { 1001: 'spiffe://example.org/agents/a' } });
	assert.equal(door && settingsOf(door, 'token')?.directory, '/etc/sallyport/tokens');
	assert.equal(door && settingsOf(door, 'as'), undefined);
});

/** What is wrong, and what is said of it. */
const WRONG: readonly (readonly [string, string, string, string, RegExp])[] = [
	['two of one kind', 'web', TCP, '[mtls, mtls]', /^:14:26 {2}listeners\[1\]\.authenticate\[1\]: two ways are `mtls`$/],
	['an empty list', 'web', TCP, '[]', /^:14:19 {2}listeners\[1\]\.authenticate: too small/],
	[
		'a word that is no way',
		'web',
		TCP,
		'[mtls, password]',
		/^:14:26 {2}listeners\[1\]\.authenticate\[1\]: expected one of/,
	],
	[
		'a user on TCP',
		'web',
		TCP,
		UNIX,
		/^:14:27 {2}listeners\[1\]\.authenticate\.unix: the kernel knows the user on the other end of a Unix socket only$/,
	],
	[
		'one agent on TCP',
		'web',
		TCP,
		`[mtls, ${AS}]`,
		/^:14:32 {2}listeners\[1\]\.authenticate\[1\]\.as: only a Unix socket/,
	],
	[
		'a way behind the user',
		'web',
		SOCKET,
		`[${UNIX}, mtls]`,
		/authenticate\[1\]: is never tried: by `unix` everybody is known, or refused, already$/,
	],
	['a way behind `as`', 'web', SOCKET, `[${AS}, ${TOKEN}]`, /authenticate\[1\]: is never tried: by `as`/],
	['both words of the socket', 'web', SOCKET, `[${UNIX}, ${AS}]`, /authenticate\[1\]: is never tried/],
	['no users', 'web', SOCKET, '{ unix: { users: {} } }', /authenticate\.unix\.users: expected at least one user$/],
	[
		'a user by name',
		'web',
		SOCKET,
		'{ unix: { users: { alice: spiffe://example.org/agents/a } } }',
		/authenticate\.unix\.users/,
	],
	[
		'a user that is nobody',
		'web',
		SOCKET,
		'{ unix: { users: { 4294967295: spiffe://example.org/agents/a } } }',
		/a user id such as 1001/,
	],
	[
		'a user whose id is none',
		'web',
		SOCKET,
		'{ unix: { users: { 1001: "spiffe://example.org/agents/.." } } }',
		/^:14:44 {2}listeners\[1\]\.authenticate\.unix\.users\.1001: is no SPIFFE ID/,
	],
	[
		'the user that is everybody without one',
		'web',
		SOCKET,
		'{ unix: { users: { 65534: spiffe://example.org/agents/a } } }',
		/users\.65534: stands for every user that has no id here/,
	],
	['a JWT-SVID in a session', 'db', TCP, JWT, /authenticate\.jwt_svid: stands in a header, and only HTTP has those$/],
	['a JWT-SVID without an audience', 'web', TCP, '{ jwt_svid: { audience: [] } }', /audience: too small/],
	[
		'a JWT-SVID where messages are framed',
		'web',
		TCP,
		'{ jwt_svid: { audience: [a], header: Transfer-Encoding } }',
		/header: transfer-encoding cannot hold a credential$/,
	],
	[
		'a JWT-SVID in a field with an underscore',
		'web',
		TCP,
		'{ jwt_svid: { audience: [a], header: x_jwt } }',
		/header: expected a name of a header field/,
	],
	[
		'a JWT-SVID where tokens are',
		'web',
		TCP,
		`[${JWT}, ${TOKEN}]`,
		/authenticate\[0\]\.jwt_svid: tokens are shown in authorization here: name another header$/,
	],
	['a JWT-SVID in the clear on a network', 'web', '0.0.0.0:17402', JWT, /address: JWT-SVIDs travel in the clear here/],
	[
		'a token in the clear on a network',
		'web',
		'0.0.0.0:17402',
		`[${TOKEN}, ${JWT}]`,
		/address: tokens travel in the clear here/,
	],
	[
		'a token before a certificate in a session',
		'db',
		TCP,
		`[${TOKEN}, mtls]`,
		/authenticate\[1\]: stands first at a door for a session protocol/,
	],
	[
		'a token before the user in a session',
		'db',
		SOCKET,
		`[${TOKEN}, ${UNIX}]`,
		/authenticate\[0\]\.token: stands last at a door for a session protocol/,
	],
	[
		'a token in a list for opaque TCP',
		'raw',
		TCP,
		`[mtls, ${TOKEN}]`,
		/authenticate\[1\]\.token: opaque TCP has no place for a token/,
	],
];

for (const [title, upstream, address, authenticate, says] of WRONG) {
	test(`refused: ${title}`, () => {
		const problems = problemsOf(withDoor(upstream, address, authenticate));
		assert.ok(
			problems.some(problem => says.test(problem)),
			problems.join('\n') || 'it was taken',
		);
	});
}
