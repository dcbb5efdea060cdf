import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { openStage } from '../http/support-stage.ts';
import { readRecordLines } from '../support/records.ts';

const TIMES = 3000;
const AT_ONCE = 50;

/** Does something over and over, some at once. */
async function flood(times: number, once: () => Promise<void>): Promise<void> {
	let left = times;
	const turn = async (): Promise<void> => {
		while (left-- > 0) await once();
	};
	await Promise.all(Array.from({ length: AT_ONCE }, turn));
}

test('a client that retries a refused handshake thousands of times costs a few records, and keeps nobody out', async t => {
	const stage = await openStage(t, { limits: { handshakes_per_second: 100_000 } });
	const { sallyport, workspace } = stage;
	const [host = '', port] = sallyport.address('egress').split(':');
	const before = readRecordLines(workspace.path('var/audit')).length;
	const resident = stage.resident();
	await flood(
		TIMES,
		() =>
			new Promise(resolve => {
				const socket = connect({ host, port: Number(port) }, () => socket.write('GET / HTTP/1.1\r\n\r\n'));
				socket
					.on('error', () => {})
					.on('data', () => {})
					.on('close', () => resolve());
			}),
	);
	// Handshakes that come to an end and are refused after it: no certificate.
	await flood(
		200,
		() =>
			new Promise(resolve => {
				const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false }, () =>
					socket.end('GET / HTTP/1.1\r\n\r\n'),
				);
				socket
					.on('error', () => {})
					.on('data', () => {})
					.on('close', () => resolve());
			}),
	);
	await stage.good('the flood');
	const records = sallyport.records().slice(before);
	assert.ok(records.length < 30, `${records.length} records`);
	assert.ok(stage.resident() - resident < 100 * 1024 ** 2);
	await stage.quiet();
	await sallyport.stop();
	const refusals = sallyport.records().filter(record => record['event'] === 'refused');
	const plain = refusals.filter(record => record['detail'] === 'plain HTTP instead of TLS');
	assert.equal(
		plain.reduce((sum, record) => sum + Number(record['count']), 0),
		TIMES,
		'each was counted',
	);
});
