import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOf } from '../support/sallyport.ts';
import { openStage } from './stage.ts';

test('an upstream that repeats the credential in the head of its answer does not give it to the agent or a record', async t => {
	const basic = Buffer.from('held-user:held-password').toString('base64');
	const stage = await openStage(
		t,
		{ basic: { username: 'held-user', password: 'held-password' } },
		{
			policy: {
				...policyOf('allow := true'),
				'response.rego': 'package sallyport.response\n\nallow if input.http.headers\n',
			},
			upstream: {
				answer: (request, response) => {
					response.writeHead(200, `you said ${request.headers.authorization}`, {
						'x-echo': String(request.headers.authorization),
						'x-decoded': 'it is held-password, is it not?',
						trailer: 'x-late',
					});
					response.write('body');
					response.addTrailers({ 'x-late': String(request.headers.authorization) });
					response.end();
				},
			},
		},
	);
	const answer = await stage.call(['-i', '--raw']);
	assert.equal(answer.status, 200);
	assert.deepEqual(answer.headers['x-echo'], ['Basic **']);
	assert.deepEqual(answer.headers['x-decoded'], ['it is **, is it not?']);
	assert.match(answer.body, /you said Basic \*\*/);
	for (const secret of [basic, 'held-password']) {
		assert.equal(answer.body.includes(secret), false);
		assert.equal(JSON.stringify(stage.sallyport.records()).includes(secret), false);
	}
	assert.match(JSON.stringify(stage.sallyport.records()), /it is \*\*, is it not/);
});

test('TRACE, whose answer would hold the credential, is refused', async t => {
	const stage = await openStage(t, { bearer: 'held-secret' });
	const answer = await stage.call(['-X', 'TRACE']);
	assert.equal(answer.status, 403);
	assert.equal(answer.json()['cause'], 'no_credential');
	assert.match(JSON.stringify(answer.json()), /TRACE would bring the credential back/);
	assert.equal(stage.crm.connections(), 0);
});
