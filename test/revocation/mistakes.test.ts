import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask } from '../admin/fixture.ts';
import { sallyport as command } from '../cli/run.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { makeSigner } from './fleet.ts';
import { idOf, openStage } from './stage.ts';

test('what is no revocation is refused in words, by the command and by the API, and changes nothing', async t => {
	const { workspace, revoke, control, sallyport } = await openStage(t);
	const empty = workspace.write('empty', '\n');
	const words = workspace.write('words', 'two words');
	const because = ['--reason', 'r'];
	const mistakes = [
		[[], /expected what is to be revoked/],
		[[idOf('a')], /--reason is missing/],
		[[idOf('a'), '--reason', ' '], /--reason is missing/],
		[['agents/a', ...because], /begins with none of spiffe:\/\/, serial: and token:; an agent is spiffe:/],
		[['spiffe://example.org/a*', ...because], /character other than/],
		[['token:not-a-fingerprint-but-a-token', ...because], /not a token's fingerprint/],
		[[idOf('a'), ...because, '--for', 'soon'], /--for: expected a duration/],
		[[idOf('a'), ...because, '--for', '0'], /--for: expected a duration/],
		[[idOf('a'), '--undo', ...because], /--undo takes neither/],
		[[idOf('a'), '--list'], /--list stands alone/],
		[[idOf('a'), '--token-file', empty, ...because], /expected what is to be revoked/],
		[['--token-file', empty, ...because], /there is no token in it/],
		[['--token-file', words, ...because], /there is no token in it/],
		[['--token-file', workspace.path('none'), ...because], /cannot be read \(ENOENT\)/],
	] as const;
	const tried = await Promise.all(mistakes.map(async ([args, said]) => ({ args, said, ran: await revoke(...args) })));
	for (const { args, said, ran } of tried) {
		assert.equal(ran.code, 2, `${args.join(' ')}: ${ran.err}`);
		assert.match(ran.err, said);
		assert.equal(ran.err.includes('not-a-fingerprint'), false);
	}
	const missing = await revoke('--undo', idOf('a'));
	assert.equal(missing.code, 1);
	assert.match(missing.err, /It is not revoked\./);

	const good = { what: idOf('a'), reason: 'r' };
	for (const [body, said] of [
		[{ ...good, what: 5 }, /`what` is missing/],
		[{ ...good, reason: undefined }, /no reason/],
		[{ ...good, for_seconds: '1h' }, /`for_seconds`/],
		[{ ...good, for_seconds: -1 }, /`for_seconds`/],
		[{ ...good, for_seconds: 1e12 }, /`for_seconds`/],
		[{ ...good, until: '2030-01-01T00:00:00Z' }, /a member other than/],
		[[good], /no JSON object/],
		[{ ...good, reason: 'x'.repeat(500_000) }, /larger than 16 KiB/],
	] as const) {
		const answer = await control('POST', '/v1/revocations', body);
		assert.equal(answer.status, 400, answer.text);
		assert.match(String(answer.json()['detail']), said);
	}
	const socketPath = workspace.path('control.sock');
	const bare = await ask({
		socketPath,
		method: 'POST',
		path: '/v1/revocations',
		body: '{}',
		headers: { 'content-length': 2 },
	});
	assert.match(String(bare.json()['detail']), /application\/json/);
	for (const [method, path, status] of [
		['GET', '/v1/revocations?what=x', 400],
		['DELETE', '/v1/revocations', 400],
		['DELETE', '/v1/revocations?what=%zz', 400],
		['DELETE', `/v1/revocations?what=${idOf('a')}&what=${idOf('b')}`, 400],
		['PUT', '/v1/revocations', 405],
	] as const)
		assert.equal((await control(method, path)).status, status, `${method} ${path}`);
	assert.deepEqual((await control('GET', '/v1/revocations')).json(), { revocations: [] });
	const refused = (action: string) => sallyport.records().filter(record => record['action'] === action);
	assert.equal(refused('revoke_refused').length, 9, 'each order that was not taken has its record');
	assert.equal(refused('revoke_undo_refused').length, 3);
	assert.match(JSON.stringify(refused('revoke_refused')[0]), /"operator":"uid:\d+".*"status":400.*`what` is missing/);
	assert.equal(
		sallyport.records().some(record => record['action'] === 'revoke'),
		false,
	);
});

test('`revocations sign` and `show`: mistakes are told with status 2, a bad list with 1', async t => {
	const workspace = makeWorkspace(t);
	const signer = makeSigner();
	const key = workspace.write('fleet.key', signer.privateKey);
	const verify = workspace.write('fleet.pub', signer.publicKey);
	const list = workspace.write('list.jws', makeSigner().list(1));
	const entries = workspace.write('entries.json', JSON.stringify([{ what: idOf('a') }]));
	const none = workspace.write('none.json', '[]');
	const run = (...words: string[]) => command(['revocations', ...words], { cwd: workspace.directory });
	const mistakes = [
		[['sign'], 2, /--key/],
		[['sign', '--key', verify], 2, /not an unencrypted PEM private key/],
		[['sign', '--key', key, idOf('a')], 2, /--reason is missing/],
		[['sign', '--key', key, '--reason', 'r', 'a'], 2, /begins with none/],
		[['sign', '--key', key, '--sequence', 'x'], 2, /--sequence/],
		[['sign', '--key', key, '--for', '1h'], 2, /--for is about what is named, and nothing is/],
		[['sign', '--key', key, '--from', none, '--reason', 'r'], 2, /--reason is about what is named/],
		[['sign', '--key', key, '--operator', 'o'], 2, /--operator is about what is named/],
		[['sign', '--key', key, idOf('a'), '--reason', 'r'.repeat(1025)], 2, /whoever follows it would not take it.*1024/],
		[['sign', '--key', key, idOf('a'), '--reason', 'r', '--operator', 'o'.repeat(3000)], 2, /would not take it/],
		[['sign', '--key', key, '--from', entries], 2, /entry 1: it has no reason/],
		[['show', list, '--verify-key', key], 2, /a PRIVATE KEY in it/],
		[['show', list, '--verify-key', verify], 1, /signed with a key that is not in `verify_key`/],
	] as const;
	const tried = await Promise.all(mistakes.map(async ([args, ...told]) => ({ args, told, ran: await run(...args) })));
	for (const { args, told, ran } of tried) {
		const [code, said] = told;
		assert.equal(ran.code, code, `${args.join(' ')}: ${ran.err}`);
		assert.match(ran.err, said);
		assert.equal(ran.err.includes('BEGIN'), false);
	}
	const out = await run('sign', '--key', key, '--sequence', '12');
	assert.equal(out.code, 0, out.err);
	const shown = await run('show', workspace.write('good.jws', out.out), '--verify-key', verify, '--json');
	assert.deepEqual([JSON.parse(shown.out).sequence, JSON.parse(shown.out).revocations], [12, []]);
});
