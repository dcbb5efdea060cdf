import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOf } from '../support/sallyport.ts';
import { openWire } from '../support/wire.ts';
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

test('nor in early hints and behind the body, where no policy judges answers', async t => {
	const stage = await openStage(
		t,
		{ bearer: 'held-secret' },
		{
			upstream: {
				answer: (request, response) => {
					const { authorization = '' } = request.headers;
					response.writeEarlyHints({ link: `</style.css?${encodeURIComponent(authorization)}>; rel=preload` });
					response.writeHead(200, { trailer: 'x-late' });
					response.write('body');
					response.addTrailers({ 'x-late': authorization });
					response.end();
				},
			},
		},
	);
	const wire = await openWire(t, stage.sallyport.address('egress'), { agent: stage.workspace.agent('a') });
	wire.send(`GET ${stage.origin}/ HTTP/1.1\r\nHost: ${stage.origin.slice(7)}\r\n\r\n`);
	const answer = await wire.receives('0\r\n');
	assert.match(answer, /103 Early Hints\r\nlink: <\/style.css\?Bearer%20\*\*>/i);
	assert.match(await wire.receives('x-late'), /x-late: Bearer \*\*\r\n/);
	assert.equal(answer.includes('held-secret'), false);
});

test('TRACE, whose answer would hold the credential, is refused', async t => {
	const stage = await openStage(t, { bearer: 'held-secret' });
	const answer = await stage.call(['-X', 'TRACE']);
	assert.equal(answer.status, 403);
	assert.equal(answer.json()['cause'], 'no_credential');
	assert.match(JSON.stringify(answer.json()), /TRACE would bring the credential back/);
	assert.equal(stage.crm.connections(), 0);
});
