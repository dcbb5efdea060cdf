import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openSqliteState } from '../../src/state/sqlite.ts';
import { startSallyport } from '../support/sallyport.ts';
import { makeWorkspace } from '../support/workspace.ts';

const keysIn = async (path: string, space: string): Promise<string[]> => {
	const state = openSqliteState(path);
	try {
		return (await state.list(space)).map(({ key, value }) => `${key}=${value}`);
	} finally {
		state.close();
	}
};

test('entries are kept by space; a write is whole or not at all, and compares versions', async t => {
	const path = makeWorkspace(t).path('deep', 'state.db');
	const state = openSqliteState(path);
	assert.equal(statSync(path).mode & 0o777, 0o600);
	assert.equal(await state.write('one', [{ key: 'a', value: '1', expected: 0 }]), true);
	assert.equal(await state.write('two', [{ key: 'a', value: 'x' }]), true);
	const version = async (key: string) => (await state.list('one')).find(entry => entry.key === key)?.version ?? 0;
	const first = await version('a');
	assert.ok(first > 0);
	assert.equal(await state.write('one', [{ key: 'a', value: '2', expected: 0 }]), false, 'it is there');
	assert.equal(
		await state.write('one', [
			{ key: 'b', value: '1' },
			{ key: 'a', value: '2', expected: first + 1 },
		]),
		false,
	);
	assert.deepEqual(
		(await state.list('one')).map(({ key, value }) => [key, value]),
		[['a', '1']],
		'nothing of it',
	);
	assert.equal(await state.write('one', [{ key: 'a', value: '2', expected: first }]), true);
	assert.ok((await version('a')) > first);
	assert.equal(await state.write('one', [{ key: 'a', value: undefined }]), true);
	assert.equal(await state.write('one', [{ key: 'a', value: '3', expected: first }]), false, 'it is gone');
	assert.equal(await state.write('one', [{ key: 'a', value: '3', expected: 0 }]), true);
	assert.ok((await version('a')) > first + 1, 'no version comes twice');
	state.close();
	assert.deepEqual([await keysIn(path, 'one'), await keysIn(path, 'two')], [['a=3'], ['a=x']]);
});

test('one process at a time; what it wrote is there after kill -9', async t => {
	const path = makeWorkspace(t).path('state.db');
	const module = fileURLToPath(new URL('../../src/state/sqlite.ts', import.meta.url));
	const program = `const { openSqliteState } = await import(${JSON.stringify(module)});
		const state = openSqliteState(${JSON.stringify(path)});
		await state.write('s', [{ key: 'a', value: 'kept' }]);
		process.stdout.write('written');
		setInterval(() => {}, 1000);`;
	const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	t.after(() => child.kill('SIGKILL'));
	await once(child.stdout, 'data');
	assert.throws(() => openSqliteState(path), /in use by another process/);
	child.kill('SIGKILL');
	await once(child, 'close');
	assert.deepEqual(await keysIn(path, 's'), ['a=kept']);
});

test('a file that is damaged, newer or of something else is refused in words, and left as it is', t => {
	const workspace = makeWorkspace(t);
	const garbage = workspace.write('garbage.db', 'this is no database, and never was one. '.repeat(100));
	assert.throws(() => openSqliteState(garbage), /garbage\.db is damaged: restore it from a copy/);
	assert.match(readFileSync(garbage, 'utf8'), /^this is no database/);

	const foreign = workspace.path('foreign.db');
	const other = new DatabaseSync(foreign);
	other.exec('CREATE TABLE mine (a)');
	other.close();
	assert.throws(() => openSqliteState(foreign), /foreign\.db is a database of something else/);

	const newer = workspace.path('newer.db');
	openSqliteState(newer).close();
	const later = new DatabaseSync(newer);
	later.exec('PRAGMA user_version = 2');
	later.close();
	assert.throws(() => openSqliteState(newer), /written by a newer version of Sallyport \(schema 2; this one knows 1\)/);

	const torn = workspace.path('torn.db');
	openSqliteState(torn).close();
	const bytes = readFileSync(torn);
	bytes.fill(0xff, 4096);
	writeFileSync(torn, bytes);
	assert.throws(() => openSqliteState(torn), /torn\.db is damaged/);
	assert.throws(() => openSqliteState('/dev/null/state.db'), /^Error: state\.sqlite: /);
});

test('Sallyport does not start on a damaged state: no listener opens', async t => {
	const workspace = makeWorkspace(t);
	workspace.write('var/state.db', 'no database');
	const sallyport = await startSallyport(t, workspace, { wait: false });
	const { code } = await sallyport.ended();
	assert.equal(code, 1);
	assert.match(sallyport.stderr(), /state\.sqlite: \S+state\.db is damaged/);
	assert.equal(
		sallyport.log().some(({ msg }) => msg === 'listening'),
		false,
	);
});
