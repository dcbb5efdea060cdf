import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findControlSocket } from '../../src/config/control-socket.ts';
import { makeWorkspace } from '../support/workspace.ts';

test('the control socket is found in a configuration with mistakes and without its secrets', t => {
	const workspace = makeWorkspace(t);
	const file = workspace.write(
		'a.yaml',
		'policy: 3\nnonsense: { env: NOT_SET }\nadmin: { control: { socket: run/control.sock } }\n',
	);
	assert.equal(findControlSocket(file, {}), workspace.path('run/control.sock'));
	const named = workspace.write('b.yaml', 'admin: { control: { socket: { env: SOCKET } } }\n');
	assert.equal(findControlSocket(named, { SOCKET: '/run/s.sock' }), '/run/s.sock');
	assert.equal(findControlSocket(named, {}), undefined);
});

test('none is named, no file, no YAML', t => {
	const workspace = makeWorkspace(t);
	assert.equal(findControlSocket(workspace.write('a.yaml', 'admin: {}\n'), {}), undefined);
	assert.equal(findControlSocket(workspace.write('b.yaml', '[]\n'), {}), undefined);
	assert.deepEqual(findControlSocket(workspace.path('none.yaml'), {}), {
		unreadable: `there is no ${workspace.path('none.yaml')}`,
	});
	const broken = findControlSocket(workspace.write('c.yaml', '"a\n'), {});
	assert.ok(typeof broken === 'object' && 'unreadable' in broken);
});
