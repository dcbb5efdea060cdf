import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStage } from './support-stage.ts';

test('a flood of header bytes gets 431, however it comes, and is recorded', async t => {
	const stage = await openStage(t, { limits: { header_bytes: '8KiB' } });
	const { origin, host } = stage;
	const floods: Readonly<Record<string, string>> = {
		'one long field': stage.request('GET', '/', `X: ${'y'.repeat(10_000)}`),
		'many fields': stage.request('GET', '/', Array.from({ length: 2000 }, (_, at) => `X-${at}: y`).join('\r\n')),
		'a long target': `GET ${origin}/${'y'.repeat(10_000)} HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
		'a megabyte without an end': `GET ${origin}/ HTTP/1.1\r\nX: ${'y'.repeat(1024 * 1024)}`,
		'long trailers': stage.request('POST', '/', 'Transfer-Encoding: chunked', `0\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`),
	};
	for (const [name, bytes] of Object.entries(floods)) {
		const wire = await stage.wire();
		wire.send(bytes);
		assert.match(
			await wire.receives('\r\n\r\n').catch(error => `${name}: ${error.message}`),
			/^HTTP\/1\.1 431 Request Header Fields Too Large/,
			name,
		);
		wire.socket.destroy();
	}
	const record = await stage.sallyport.waitForRecord(({ cause }) => cause === 'limit_exceeded', 'the limit');
	assert.equal(record['detail'], 'limits.header_bytes');
	const wire = await stage.wire();
	wire.send(stage.request('GET', '/', `X: ${'y'.repeat(7000)}`));
	await wire.receives(/^HTTP\/1\.1 200 /);
	await stage.good('all of them');
	await stage.quiet();
});
