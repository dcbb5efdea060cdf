import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { curl, throughProxy } from '../support/curl.ts';
import { policyOf, startSallyport } from '../support/sallyport.ts';
import { startUpstream } from '../support/upstream.ts';
import { makeWorkspace } from '../support/workspace.ts';

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

test('neither a body nor a hash by which a guess of it could be checked stands in the audit directory', async t => {
	const workspace = makeWorkspace(t);
	const upstream = await startUpstream(t);
	const sallyport = await startSallyport(t, workspace, {
		config: { upstreams: { crm: { address: upstream.address, hosts: ['crm.internal'], protocol: 'http' } } },
		policy: policyOf('allow if { input.http.body.pin; count(input.call.digest) == 64 }'),
	});
	const authority = `crm.internal:${upstream.port}`;
	const bodies = ['{"pin":1234}', '{"pin":1234}', '{"pin":5678}'];
	for (const body of bodies) {
		const answer = await curl([
			...throughProxy(workspace, sallyport.address('egress'), workspace.agent('a')),
			...['-H', 'content-type: application/json', '--data-binary', body, `http://${authority}/unlock?door=1`],
		]);
		assert.equal(answer.status, 200, answer.body);
	}
	const decisions = sallyport.records().filter(({ type }) => type === 'decision');
	await sallyport.stop();

	const directory = workspace.path('var/audit');
	const files = readdirSync(directory).map(name => readFileSync(join(directory, name), 'latin1'));
	assert.ok(files.some(text => text.includes('"/unlock"')));
	for (const body of bodies) {
		const call = `POST ${authority} /unlock?door=1\n${body}`;
		for (const hash of [sha256(body), sha256(JSON.stringify(body)), sha256(call)]) {
			for (const shown of [hash.toString('hex'), hash.toString('base64'), hash.toString('base64url')])
				for (const text of files) assert.equal(text.includes(shown), false, `${shown} of ${body}`);
		}
		for (const text of files) assert.equal(text.includes(body), false, body);
	}

	// Equal calls can be told from others, and whoever holds the salt can check.
	const salt = readFileSync(join(directory, 'salt'), 'utf8').trim();
	const salted = bodies.map(body => {
		const digest = sha256(`POST ${authority} /unlock?door=1\n${body}`).toString('hex');
		return `sha256-salted:${sha256(`${salt}"${digest}"`).toString('hex')}`;
	});
	assert.deepEqual(
		decisions.map(({ call }) => call?.['digest']),
		salted,
	);
	for (const [at, record] of decisions.entries()) {
		const input = record['input'] as { call: { digest: string }; http: { body: string } };
		assert.equal(input.call.digest, salted[at]);
		assert.match(input.http.body, /^sha256-salted:/);
		assert.deepEqual(record['masked'], ['/input/call/digest', '/input/http/body']);
	}
});
