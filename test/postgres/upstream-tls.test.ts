import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { postgres as protocol } from '../../src/protocols/postgres/protocol.ts';
import { openDoor, until } from '../support/door.ts';
import { certificates } from '../support/door-certificates.ts';
import { pgError, pgQuery } from '../support/pg.ts';
import { usePostgres } from '../support/postgres.ts';

test('TLS to the upstream, by SSLRequest', async t => {
	const certs = certificates(t);
	const db = await usePostgres(t, { tls: certs.server, hba: ['hostssl all all 127.0.0.1/32 trust'] });
	const door = await openDoor(t, { protocol, certificates: certs, upstream: db.port, upstreamTls: true });
	const { certificate: cert, key } = certs.agent('researcher');
	const options = { port: door.port, user: 'postgres', database: 'postgres', ssl: { ca: certs.ca, cert, key } };
	const rows = await pgQuery(options, 'select ssl, version from pg_stat_ssl where pid = pg_backend_pid()');
	assert.deepEqual(rows, [{ ssl: true, version: 'TLSv1.3' }]);
	const [big] = await pgQuery(options, "select repeat('x', 5000000) as text");
	assert.equal(String(big?.['text']).length, 5_000_000);
});

test('an upstream without TLS, or one that talks before TLS, gets nothing but the request for it', async t => {
	const certs = certificates(t);
	const { certificate: cert, key } = certs.agent('researcher');
	for (const [answer, detail] of [
		['N', 'the upstream does not offer TLS'],
		['E', 'the upstream does not offer TLS'],
		['SR', 'the upstream sent bytes before the TLS handshake'],
	] as const) {
		const got: Buffer[] = [];
		const upstream = createServer(socket => {
			socket.on('error', () => {});
			socket.on('data', chunk => {
				got.push(chunk);
				socket.write(answer);
			});
		});
		await new Promise<void>(resolve => upstream.listen(0, '127.0.0.1', resolve));
		t.after(() => upstream.close());
		const address = upstream.address();
		const port = typeof address === 'object' && address !== null ? address.port : 0;
		const door = await openDoor(t, { protocol, certificates: certs, upstream: port, upstreamTls: true });
		const error = await pgError({ port: door.port, user: 'app', database: 'shop', ssl: { ca: certs.ca, cert, key } });
		assert.match(error.message, /upstream_tls/);
		assert.equal(error.detail, detail);
		assert.equal(error.code, '08006');
		await until(() => door.door.size === 0);
		assert.equal(Buffer.concat(got).toString('hex'), '0000000804d2162f');
		assert.deepEqual(door.outcomes, [
			{ cause: 'upstream_tls', bytesSent: 8, bytesReceived: answer.length, error: detail },
		]);
	}
});
