import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { until } from '../support/until.ts';
import { idOf, openStage, serialOf } from './stage.ts';

test('a revoked serial: that certificate is out, resumed sessions too; another one of the same agent is in', async t => {
	const { workspace, sallyport, upstream, revoke, get } = await openStage(t);
	const stolen = workspace.agent('a');
	const renewed = workspace.issue('renewed', idOf('a'));
	const [host = '', port = ''] = sallyport.address('egress').split(':');
	const visit = (
		pair: typeof stolen,
		session?: Buffer,
	): Promise<{ text: string; session: Buffer | undefined; resumed: boolean }> =>
		new Promise((resolve, reject) => {
			let kept: Buffer | undefined;
			let text = '';
			let resumed = false;
			const socket: TLSSocket = connect({
				host,
				port: Number(port),
				rejectUnauthorized: false,
				cert: readFileSync(pair.certificate),
				key: readFileSync(pair.key),
				...(session === undefined ? {} : { session }),
			});
			socket.on('session', ticket => {
				kept = ticket;
			});
			socket.on('error', reject);
			socket.on('secureConnect', () => {
				resumed = socket.isSessionReused();
				socket.write(get('/', 'Connection: close\r\n'));
			});
			socket.setEncoding('latin1').on('data', data => {
				text += data;
			});
			socket.on('close', () => resolve({ text, session: kept, resumed }));
		});
	const first = await visit(stolen);
	assert.match(first.text, /^HTTP\/1\.1 200/);
	const resumed = await visit(stolen, first.session);
	assert.deepEqual([resumed.resumed, resumed.text.slice(0, 12)], [true, 'HTTP/1.1 200']);

	// The record of a call says which certificate it was; any way of writing it will do.
	const record = await sallyport.waitForRecord(({ type }) => type === 'decision', 'the first call');
	const serial = String(record.call?.['serial']);
	assert.equal(serial, serialOf(stolen));
	const spelled = `serial:00:${serial.toLowerCase().match(/../g)?.join(':')}`;
	const ran = await revoke(spelled, '--reason', 'laptop stolen', '--json');
	assert.equal(ran.code, 0, ran.err);
	assert.equal(JSON.parse(ran.out).revocation.what, `serial:${serial.replace(/^0+/, '')}`);

	const again = await visit(stolen, resumed.session ?? first.session);
	assert.equal(again.resumed, true, 'the ticket is good');
	assert.match(again.text, /^HTTP\/1\.1 403 [\s\S]*"cause":"revoked"/);
	assert.match(again.text, /by the serial of its certificate/);
	assert.match((await visit(stolen)).text, /"cause":"revoked"/);
	assert.match((await visit(renewed)).text, /^HTTP\/1\.1 200/);
	await until(() => upstream.seen.length === 3, 'three calls went through');
});
