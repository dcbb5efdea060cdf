import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { test } from 'node:test';
import { policyOf } from '../support/sallyport.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { openStage } from './stage.ts';

test('a credential that ends between the head of a call and its sending: decided, recorded, and nothing is sent', async t => {
	const workspace = makeWorkspace(t);
	workspace.write('once', '#!/bin/sh\n[ -e "$0.ran" ] && exit 1\n: >"$0.ran"\necho held-once\n');
	chmodSync(workspace.path('once'), 0o755);
	const stage = await openStage(
		t,
		{ bearer: { command: ['./once'], ttl: '2s' } },
		{ workspace, policy: policyOf('allow if input.http.body.good') },
	);
	const host = `crm.internal:${stage.crm.port}`;
	const wire = await openWire(t, stage.sallyport.address('egress'), { agent: workspace.agent('a') });
	wire.send(
		`POST http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"good": `,
	);
	await stage.sallyport.waitForLog(
		({ msg }) => msg === 'a credential has no valid value: calls that need it are refused',
		'it has ended',
	);
	wire.send('true');
	assert.equal(stage.crm.connections(), 0);
	wire.send('}');
	const answer = await wire.receives('not available now');
	assert.match(answer, /^HTTP\/1\.1 403 /);
	assert.match(answer, /"cause":"no_credential"/);
	const outcome = await stage.sallyport.waitForRecord(({ type }) => type === 'outcome', 'the outcome');
	assert.equal(outcome.cause, 'no_credential');
	assert.equal(stage.crm.connections(), 0);
});
