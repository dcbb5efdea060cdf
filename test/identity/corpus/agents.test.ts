import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConnectionOptions, connect } from 'node:tls';
import { certificatesToPem, keyToPem, newKey } from '../../../src/identity/mint.ts';
import { startSallyport } from '../../support/sallyport.ts';
import { until } from '../../support/until.ts';
import { startUpstream } from '../../support/upstream.ts';
import { makeWorkspace } from '../../support/workspace.ts';
import { ca, dns, forge, leafExtensions, name, ROOT, san, uri } from './forge.ts';
import { ANYTHING, shownCases } from './shown.ts';

/** A certificate for every rule, shown to the real process: in both versions of TLS, in a full handshake and a resumed one. */

interface Visit {
	readonly status: number;
	readonly cause: string;
	readonly detail: string;
	readonly resumed: boolean;
	readonly session: Buffer | undefined;
}

/** One request on a new connection, and the ticket that came with it. */
function visit(port: number, target: string, options: ConnectionOptions): Promise<Visit> {
	return new Promise((resolve, reject) => {
		let session: Buffer | undefined;
		let text = '';
		let resumed = false;
		const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ciphers: ANYTHING, ...options });
		socket.setEncoding('utf8');
		socket.on('session', ticket => {
			session = ticket;
		});
		socket.once('secureConnect', () => {
			resumed = socket.isSessionReused();
			socket.write(`GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\nConnection: close\r\n\r\n`);
		});
		socket.on('data', (chunk: string) => {
			text += chunk;
		});
		socket.on('error', reject);
		socket.on('close', () => {
			const body = text.slice(text.indexOf('\r\n\r\n') + 4);
			const told = body.startsWith('{') ? (JSON.parse(body) as { cause?: string; detail?: string }) : {};
			resolve({
				status: Number(text.slice(9, 12)),
				cause: told.cause ?? '',
				detail: told.detail ?? '',
				resumed,
				session,
			});
		});
	});
}

const CROWDED = 'at most nine certificates beside the leaf';
const LISTENERS = ['a', 'b', 'c', 'd'] as const;
const { shown, unshown } = shownCases();

test('nobody is taken for an agent, every refusal and its record name the rule, and the good ones are served', async t => {
	const workspace = makeWorkspace(t);
	const own = forge({
		issuer: ROOT,
		extensions: leafExtensions({ san: san([uri('spiffe://example.org/sallyport'), dns('localhost')]) }),
	});
	workspace.write('certs/ca.pem', certificatesToPem([ROOT.certificate]));
	workspace.write('certs/sallyport.pem', certificatesToPem([own.certificate]));
	workspace.write('certs/sallyport.key', keyToPem(own.key));
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: {
			upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } },
			listeners: LISTENERS.map(listener => ({ name: listener, address: '127.0.0.1:0', serves: 'http_proxy' })),
		},
	});
	const target = `crm.internal:${upstream.port}`;
	const portOf = (index: number): number =>
		Number(sallyport.address(LISTENERS[index % LISTENERS.length] ?? 'a').split(':')[1]);
	const resumed = { 'TLSv1.2': 0, 'TLSv1.3': 0 };

	for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
		const only = { minVersion: version, maxVersion: version };
		// Of a key of its own: what is remembered of it must not serve those under the broken ones.
		const issuing = ca({ issuer: ROOT, subject: name('issuing'), key: newKey() });
		for (const chain of [[forge({ issuer: ROOT })], [forge({ issuer: issuing }), issuing]]) {
			const good = {
				...only,
				cert: certificatesToPem(chain.map(({ certificate }) => certificate)),
				key: keyToPem(chain[0]?.key ?? own.key),
			};
			const first = await visit(portOf(0), target, good);
			assert.equal(first.status, 200, `${version}: ${first.cause} ${first.detail}`);
			const again = await visit(portOf(0), target, { ...good, session: first.session });
			assert.deepEqual([again.status, again.resumed], [200, true]);
		}
		for (const [index, { one, cert, key }] of shown.entries()) {
			const what = `${version}: ${one.rule}: ${one.way}`;
			const first = await visit(portOf(index), target, { ...only, cert, key });
			assert.deepEqual([first.status, first.cause], [403, one.cause], `${what}: ${first.detail}`);
			assert.match(first.detail, one.detail, what);
			const again = await visit(portOf(index), target, { ...only, cert, key, session: first.session });
			assert.equal(again.status, 403, what);
			// Where time alone is wrong it is judged again, and the intermediates of a resumed session are not there any more.
			if (one.cause === 'identity_invalid') assert.match(again.detail, one.detail, what);
			else assert.match(again.cause, /^identity_(invalid|expired)$/, what);
			if (again.resumed) resumed[version]++;
		}
	}
	t.diagnostic(
		`${shown.length} rules in each version; resumed: ${JSON.stringify(resumed)}; never shown: ${unshown.join(', ')}`,
	);
	assert.ok(shown.some(({ one }) => one.rule === CROWDED));
	assert.deepEqual(resumed, { 'TLSv1.2': shown.length, 'TLSv1.3': shown.length });
	assert.equal(upstream.seen.length, 2 * 4, 'the good ones');
	for (const { one } of shown) {
		await until(
			() =>
				sallyport
					.records()
					.some(
						({ type, cause, ...record }) =>
							type === 'session' && cause === one.cause && one.detail.test(String(record['detail'])),
					),
			`a record of ${one.rule}`,
		);
	}
});

test('only what is no certificate at all is never shown', () => {
	assert.deepEqual(
		unshown.filter(
			rule => !/well formed|strict DER|no extension twice|stated twice|version 3|serial number|ASCII/.test(rule),
		),
		['RSA keys with a good exponent'],
	);
});
