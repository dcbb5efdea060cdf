import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startSallyport } from '../support/sallyport.ts';
import { until } from '../support/until.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { following, makeSigner, serveList } from './fleet.ts';
import { idOf, openStage, stageOf } from './stage.ts';

test('the list of a fleet by URL: in force before the first call, followed by ETag and long poll, never an older one, kept', async t => {
	const workspace = makeWorkspace(t);
	const signer = makeSigner();
	workspace.write('fleet.pub', signer.publicKey);
	const server = await serveList(t, workspace, signer.list(7, [idOf('a')]));
	const config = { identity: following({ url: server.url, roots: 'certs/ca.pem', poll: '2s' }) };
	const stage = await openStage(t, { workspace, config });
	const { sallyport, upstream, connect, get, control } = stage;
	const status = async () => {
		const { revocations } = (await control('GET', '/v1/status')).json() as {
			revocations: { in_force: number; list: { sequence: number; problem?: string; stale?: boolean } };
		};
		return revocations;
	};
	const cause = async (name: string): Promise<string> => {
		const wire = await connect(workspace.agent(name));
		wire.send(get('/', 'Connection: close\r\n'));
		const text = await wire.closed();
		return /"cause":"(\w+)"/.exec(text)?.[1] ?? text.slice(9, 12);
	};
	assert.equal(await cause('a'), 'revoked');
	assert.equal(await cause('b'), '200');

	// A new list while the server holds its answer back: connections go at once.
	const open = await connect(workspace.agent('b'));
	open.send(get('/'));
	await open.receives('HTTP/1.1 200');
	await until(() => server.held() === 1, 'the server is asked to wait');
	assert.deepEqual(server.asked.at(-1), { etag: '"1"', prefer: 'wait=2' });
	const served = performance.now();
	const eighth = signer.list(8, [idOf('b')]);
	server.serve(eighth);
	await open.closed();
	t.diagnostic(`a connection was cut ${(performance.now() - served).toFixed(1)} ms after the list was served`);
	assert.equal(await cause('a'), '200', 'what is not on the list any more is given back');
	const record = await sallyport.waitForRecord(
		one => one['action'] === 'revocations_list' && (one['detail'] as { sequence: number }).sequence === 8,
		'the new list',
	);
	assert.equal(record['operator'], 'sallyport');
	assert.equal((record['detail'] as { connections: number }).connections, 1);
	assert.equal((await stage.revoke('--undo', idOf('b'))).code, 1, 'it ends where it was begun');

	// The same under another tag: the server is asked to wait with that one.
	server.serve(eighth);
	await until(() => server.held() === 1 && server.asked.at(-1)?.etag === '"3"', 'the server is asked to wait by it');

	// None of these is taken, and what is in force stays.
	for (const [list, problem] of [
		[signer.list(7, []), /its sequence 7 is older than 8/],
		[signer.list(8, []), /two lists have the sequence 8/],
		[makeSigner().list(9, []), /signed with a key that is not in `verify_key`/],
		[signer.list(9, [], Date.now() + 3_600_000), /issued in the future/],
		[signer.list(9, []).replace(/\.[^.]+$/, `.${Buffer.alloc(64).toString('base64url')}`), /signature is not good/],
		['{}', /no signed list/],
	] as const) {
		server.serve(list);
		const { problems } = (await control('POST', '/v1/reload')).json() as { problems: { message: string }[] };
		assert.match(problems[0]?.message ?? '', problem);
		assert.equal(await cause('b'), 'revoked');
	}
	// A floor that no restart forgets, and a list that is in force without its server.
	server.fail(503);
	await until(async () => /answers 503/.test((await status()).list.problem ?? ''), 'the server fails');
	assert.equal((await status()).list.sequence, 8);
	await sallyport.kill();
	const again = await startSallyport(t, workspace, {
		config: { ...config, upstreams: { tool: { address: upstream.address, protocol: 'http' } } },
	});
	const after = stageOf(t, workspace, again, upstream);
	const wire = await after.connect(workspace.agent('b'));
	wire.send(get('/'));
	await wire.receives('"cause":"revoked"');
	server.serve(signer.list(7, []));
	const { problems } = (await after.control('POST', '/v1/reload')).json() as {
		problems: { part: string; message: string }[];
	};
	assert.deepEqual(
		problems.map(({ part }) => part),
		['revocations'],
	);
	assert.match(problems[0]?.message ?? '', /its sequence 7 is older than 8/);
	server.serve(signer.list(9, []));
	assert.equal((await after.control('POST', '/v1/reload')).status, 200);
	assert.match(await again.metrics(), /^sallyport_revocations 0$/m);
	await until(() => server.held() === 1, 'the server is asked to wait again');
	const stopping = performance.now();
	assert.equal((await again.stop()).code, 0);
	assert.ok(performance.now() - stopping < 20_000, 'nobody waits for the server');
});
