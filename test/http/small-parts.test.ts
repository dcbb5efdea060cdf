import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BodyReader } from '../../src/protocols/http/body-reader.ts';
import { policyOf } from '../support/sallyport.ts';
import { openStage } from './support-stage.ts';

const MB = 1024 * 1024;

test('a body in a million parts takes no more memory than in one', async t => {
	const stage = await openStage(t, {
		policy: policyOf('allow if input.http.body.a', 'allow := true'),
		limits: { body: '1MiB' },
	});
	await stage.good('nothing').catch(() => {});
	const before = stage.resident();
	const wires = await Promise.all(Array.from({ length: 6 }, () => stage.wire()));
	const head = `POST ${stage.origin}/ HTTP/1.1\r\nHost: ${stage.host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
	const parts = '1\r\n \r\n'.repeat(400_000);
	for (const wire of wires) wire.send(head);
	await Promise.all(wires.map(wire => new Promise<void>(resolve => void wire.socket.write(parts, () => resolve()))));
	for (const wire of wires) wire.send('7\r\n{"a":1}\r\n0\r\n\r\n');
	for (const wire of wires) await wire.receives(/^HTTP\/1\.1 200 /);
	// Six bodies of 400 kB; kept in parts they took 30 MB each, 180 in all. Garbage is collected when there is a processor for it.
	assert.ok(stage.resident() - before < 100 * MB, `${Math.round((stage.resident() - before) / MB)} MB more`);
});

test('what comes in one read goes on in one piece', () => {
	const reader = new BodyReader({ kind: 'chunked' }, 1024);
	const parts: string[] = [];
	const bytes = Buffer.from(`${'1\r\na\r\n'.repeat(1000)}2;x=y\r\nbc\r\n0\r\n\r\n`);
	assert.equal(
		reader.take(bytes, part => parts.push(part.toString())),
		bytes.length,
	);
	assert.deepEqual(parts, [`${'a'.repeat(1000)}bc`]);
	assert.equal(reader.over, true);
});
