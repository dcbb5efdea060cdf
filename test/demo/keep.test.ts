import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { until } from '../support/until.ts';
import { demoFolders, processesOf, startDemo, temporary } from './run.ts';

test('--keep leaves it running; what it prints to try works; an interrupt ends it all', async t => {
	const directory = temporary(t);
	const demo = startDemo(t, ['--keep', '--json'], { env: { TMPDIR: directory } });
	const running = await demo.event('running');
	const folder = String(running['folder']);
	const commands = running['try'] as string[];

	const sh = async (command: string | undefined): Promise<string> => {
		const { stdout, stderr } = await promisify(execFile)('sh', ['-c', `${commands[0]} && ${command}`]);
		return stdout + stderr;
	};
	assert.match(await sh(commands.find(command => command.endsWith('/customers'))), /^HTTP\/1.1 200[\s\S]*Ada/);
	assert.match(await sh(commands.find(command => command.endsWith('/export'))), /^HTTP\/1.1 403[\s\S]*denied_by_rule/);
	assert.match(await sh(commands.find(command => command.endsWith(' status'))), /^ready/);
	assert.match(await sh(commands.find(command => command.includes('audit query'))), /no_rule/);
	await until(
		() => demo.events().filter(({ event }) => event === 'record').length >= 3,
		'the records of these calls are told',
	);

	demo.child.kill('SIGINT');
	assert.equal(await demo.ended, 0, demo.stderr());
	assert.deepEqual(demoFolders(directory), []);
	assert.deepEqual(processesOf(folder), []);
});
