import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { until } from '../support/until.ts';
import { idOf, openStage } from './stage.ts';

test('HTTP: kept-alive, in flight and pooled connections of a revoked agent go, those of others stay', async t => {
	const { workspace, sallyport, upstream, revoke, connect, get } = await openStage(t, {
		upstream: {
			answer: (request, response) => {
				if (request.url === '/begun') response.writeHead(200, { 'content-type': 'text/plain' }).write('begun');
				else if (request.url !== '/held') response.end('ok');
			},
		},
	});
	const [a, b] = [workspace.agent('a'), workspace.agent('b')];
	const [idle, held, begun, other, otherHeld] = await Promise.all([a, a, a, b, b].map(connect));
	held?.send(get('/held'));
	begun?.send(get('/begun'));
	otherHeld?.send(get('/held'));
	await begun?.receives('begun');
	await upstream.request(3);
	for (const wire of [idle, other]) {
		wire?.send(get('/'));
		await wire?.receives('ok');
	}
	await until(() => upstream.open() === 5, 'every call has a connection');

	const ran = await revoke(idOf('a'), '--reason', 'runs away', '--json');
	assert.equal(ran.code, 0, ran.err);
	const told = JSON.parse(ran.out);
	assert.equal(told.connections, 3);
	assert.deepEqual([told.recorded, told.kept, told.replaced], [true, true, false]);
	assert.equal(told.revocation.operator, `uid:${process.geteuid?.()}`);
	assert.equal((await idle?.closed())?.includes('403'), false);
	assert.match((await held?.closed()) ?? '', /^HTTP\/1\.1 403 [\s\S]*"cause":"revoked"/, 'in flight, not begun: told');
	assert.match((await begun?.closed()) ?? '', /begun\r\n$/, 'in flight, begun: broken off');
	await until(() => upstream.open() === 2, "the upstream's side goes too; the other agent's two stay");

	// A new handshake is told why, and its record names it.
	const refused = await curl([
		...throughProxy(workspace, sallyport.address('egress'), a),
		`http://${upstream.address}/`,
	]);
	assert.equal(refused.status, 403);
	assert.equal(refused.json()['cause'], 'revoked');
	assert.equal(refused.json()['detail'], 'by its SPIFFE ID');
	assert.equal(refused.body.includes('runs away'), false, 'the reason is for operators');
	const record = await sallyport.waitForRecord(
		({ type, cause }) => type === 'session' && cause === 'revoked',
		'the refusal',
	);
	assert.equal(record['detail'], 'by its SPIFFE ID');
	assert.ok(JSON.stringify(record).includes(idOf('a')), 'and whom');

	// The other goes on, on the same connection.
	other?.send(get('/again'));
	await until(() => other?.text().split('HTTP/1.1 200').length === 3, 'the other is served');
	assert.equal(otherHeld?.socket.destroyed, false);

	const outcomes = sallyport.records().filter(({ type, cause }) => type === 'outcome' && cause === 'revoked');
	assert.equal(outcomes.length, 2, 'both calls in flight ended so');
	const act = sallyport.records().find(one => one['action'] === 'revoke');
	const result = sallyport.records().find(one => one['action'] === 'revoke_result');
	assert.ok(act !== undefined && result !== undefined && act.seq < result.seq);
	assert.ok((outcomes[0]?.seq ?? 0) > act.seq, 'the record precedes the act');
	assert.deepEqual(
		[act['operator'], (act['detail'] as { reason: string }).reason],
		[`uid:${process.geteuid?.()}`, 'runs away'],
	);
	assert.equal((result['detail'] as { connections: number }).connections, 3);
	const metrics = await sallyport.metrics();
	assert.match(metrics, /^sallyport_revocations 1$/m);
	assert.match(metrics, /^sallyport_revoked_connections_total 3$/m);
	assert.match(metrics, /^sallyport_revocation_effect_seconds_count 1$/m);

	// Given back.
	const undone = await revoke('--undo', idOf('a'));
	assert.equal(undone.code, 0, undone.err);
	const again = await curl([...throughProxy(workspace, sallyport.address('egress'), a), `http://${upstream.address}/`]);
	assert.equal(again.status, 200);
});
