import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { openWire } from '../support/wire.ts';
import { makeWorkspace } from '../support/workspace.ts';
import { openStage } from './stage.ts';

const ROTATIONS = 20;

test('a secret that is mounted as Kubernetes does rotates under load, and no request fails', async t => {
	const workspace = makeWorkspace(t);
	const mount = workspace.path('mount');
	mkdirSync(mount);
	/** Every key is a link to `..data/KEY`, and `..data` one to a folder that is exchanged as a whole. */
	const give = (n: number): void => {
		const folder = `..v${n}`;
		mkdirSync(join(mount, folder));
		writeFileSync(join(mount, folder, 'token'), `token-${n}\n`);
		symlinkSync(folder, join(mount, '..next'));
		renameSync(join(mount, '..next'), join(mount, '..data'));
		if (n > 0) rmSync(join(mount, `..v${n - 1}`), { recursive: true });
	};
	give(0);
	symlinkSync('..data/token', join(mount, 'token'));
	const stage = await openStage(t, { bearer: { file: 'mount/token' } }, { workspace });
	const host = `crm.internal:${stage.crm.port}`;

	let stop = false;
	let answers = 0;
	const failures: string[] = [];
	const load = async (): Promise<void> => {
		const wire = await openWire(t, stage.sallyport.address('egress'), { agent: workspace.agent('a') });
		for (let n = 1; !stop; n++) {
			wire.send(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
			await until(() => wire.text().split('HTTP/1.1 ').length > n && wire.text().endsWith('}'), 'an answer');
			if (!wire.text().slice(wire.text().lastIndexOf('HTTP/1.1 ')).startsWith('HTTP/1.1 200 '))
				failures.push(wire.text());
			answers++;
		}
		wire.socket.destroy();
	};
	const loads = [load(), load(), load(), load()];
	const newest = (): string | undefined => stage.crm.seen.at(-1)?.header('authorization');
	for (let n = 0; n <= ROTATIONS; n++) {
		if (n > 0) give(n);
		await until(() => newest() === `Bearer token-${n}`, `token ${n} is in use; it is ${newest()}`);
	}
	stop = true;
	await Promise.all(loads);
	assert.deepEqual(failures, []);
	assert.ok(answers > ROTATIONS);
	assert.ok(stage.crm.connections() > ROTATIONS, 'a connection serves one value only');

	// What cannot be used leaves what was read before in use, and says so.
	writeFileSync(join(mount, '..data', 'token'), 'two\nlines\n');
	await stage.sallyport.waitForLog(
		({ msg }) => msg?.startsWith('a credential could not be renewed') === true,
		'the file is refused',
	);
	assert.equal((await stage.call()).status, 200);
	assert.equal(newest(), `Bearer token-${ROTATIONS}`);
	assert.match(await stage.sallyport.metrics(), /sallyport_reload_last_success\{part="credentials"\} 0/);
	assert.doesNotMatch(stage.sallyport.stderr(), /token-\d|two/);
	writeFileSync(join(mount, '..data', 'token'), 'mended\n');
	await until(async () => {
		await stage.call();
		return newest() === 'Bearer mended';
	}, 'the mended file is in use');
});
