import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { nkeys } from '@nats-io/transport-node';
import type { NatsConfig } from '../../src/config/sinks.ts';
import { configOf, decision, depsOf, linesOf, opened, recorded, temporary } from '../audit/fixture.ts';
import { until } from '../audit/until.ts';
import { findNats, NO_NATS, startNats } from '../support/nats.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { openStream } from './stream.ts';

type KeyPair = ReturnType<typeof nkeys.createUser>;

/** A record through a sink that shows this; the values as they are now. */
async function sinkOf(t: TestContext, port: number, credential: NatsConfig['credential'], scheme = 'nats') {
	const directory = await temporary(t);
	const sink: NatsConfig = {
		servers: [`${scheme}://127.0.0.1:${port}`],
		subject: 'sallyport.audit',
		present_svid: false,
		batch: { age: 0 },
		rate: 2 ** 30,
		timeout: 3000,
		...(credential === undefined ? {} : { credential }),
	};
	const texts = (secrets: readonly unknown[]) => () => secrets.map(String);
	const deps = depsOf({ credentials: { field: () => () => undefined, texts } });
	const audit = await opened(t, configOf(directory, { sinks: [{ nats: sink }] }), deps);
	await recorded(audit, decision('a'));
	return { audit, directory, status: () => audit.status().sinks[0] };
}

const seedOf = (pair: KeyPair): string => new TextDecoder().decode(pair.getSeed());

/** A JWT as NATS has them: signed by an NKey. */
function jwtOf(issuer: KeyPair, subject: KeyPair, name: string, nats: object): string {
	const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
	const head = part({ typ: 'JWT', alg: 'ed25519-nkey' });
	const claims = { jti: name, iat: 1, iss: issuer.getPublicKey(), name, sub: subject.getPublicKey(), nats };
	const signed = `${head}.${part(claims)}`;
	return `${signed}.${Buffer.from(issuer.sign(new TextEncoder().encode(signed))).toString('base64url')}`;
}

test('an NKey lets Sallyport in, another one does not', async t => {
	const server = findNats();
	if (server === undefined) return t.skip(NO_NATS);
	const pair = nkeys.createUser();
	const config = `authorization { users: [ { nkey: ${pair.getPublicKey()} }, { user: test, password: test } ] }`;
	const { port } = await startNats(t, makeWorkspace(t), server, { config });
	const stream = await openStream(t, port, { user: 'test', pass: 'test' });
	const stranger = await sinkOf(t, port, { nkey: seedOf(nkeys.createUser()) });
	await until(() => stranger.status()?.error === 'it does not let Sallyport in');
	const { status, directory } = await sinkOf(t, port, { nkey: seedOf(pair) });
	await until(() => status()?.behind === 0);
	assert.deepEqual(await stream.lines(), await linesOf(directory));
});

test('a credentials file lets Sallyport in', async t => {
	const server = findNats();
	if (server === undefined) return t.skip(NO_NATS);
	const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()];
	const system = nkeys.createAccount();
	const all = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, conn: -1, leaf: -1, wildcards: true };
	const limits = { ...all, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
	const config = [
		`operator: "${jwtOf(operator, operator, 'O', { type: 'operator', version: 2 })}"`,
		'resolver: MEMORY',
		`system_account: ${system.getPublicKey()}`,
		'resolver_preload: {',
		`${account.getPublicKey()}: "${jwtOf(operator, account, 'A', { type: 'account', version: 2, limits })}"`,
		`${system.getPublicKey()}: "${jwtOf(operator, system, 'SYS', { type: 'account', version: 2, limits: all })}"`,
		'}',
	].join('\n');
	const { port } = await startNats(t, makeWorkspace(t), server, { config });
	const token = jwtOf(account, user, 'U', {
		type: 'user',
		version: 2,
		subs: -1,
		data: -1,
		payload: -1,
		pub: {},
		sub: {},
	});
	// As a secret of a file it comes without its last line feed.
	const creds = [
		`-----BEGIN NATS USER JWT-----\n${token}\n------END NATS USER JWT------\n`,
		`-----BEGIN USER NKEY SEED-----\n${seedOf(user)}\n------END USER NKEY SEED------`,
	].join('\n');
	const { credsAuthenticator } = await import('@nats-io/transport-node');
	const stream = await openStream(t, port, {
		authenticator: credsAuthenticator(new TextEncoder().encode(`${creds}\n`)),
	});
	const { status, directory } = await sinkOf(t, port, { creds });
	await until(() => status()?.behind === 0);
	assert.deepEqual(await stream.lines(), await linesOf(directory));
});

test('a server that does not speak TLS is shown no secret', async t => {
	let got = '';
	const server = createServer(socket => {
		socket.on('data', chunk => {
			got += String(chunk);
		});
		socket.on('error', () => {});
		socket.write('INFO {"server_id":"x","version":"2.12.2","proto":1,"max_payload":1048576}\r\n');
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	t.after(() => server.close());
	const { port } = server.address() as AddressInfo;
	const { status } = await sinkOf(t, port, { token: 'seed-of-the-sink' }, 'tls');
	await until(() => status()?.error !== undefined);
	assert.equal(got, '');
});

test('a subject that no stream takes, and a record that is larger than the stream takes', async t => {
	const server = findNats();
	if (server === undefined) return t.skip(NO_NATS);
	const { port } = await startNats(t, makeWorkspace(t), server);
	const { audit, status, directory } = await sinkOf(t, port, undefined);
	await until(() => status()?.error === 'no stream takes the subject');
	const stream = await openStream(t, port, { maxMessage: 4096 });
	await until(() => status()?.behind === 0);
	const large = decision('large', { result: JSON.stringify({ text: 'x'.repeat(8000) }) });
	await Promise.all([recorded(audit, decision('b')), recorded(audit, large), recorded(audit, decision('c'))]);
	await until(() => status()?.refused === 1 && status()?.behind === 0);
	const chain = await linesOf(directory);
	assert.deepEqual(
		await stream.lines(),
		chain.filter(line => !line.includes('"decision_id":"large"')),
	);
	assert.equal(chain.filter(line => line.includes('"action":"sink_refused"')).length, 1);
});
