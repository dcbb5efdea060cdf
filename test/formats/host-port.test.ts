import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostPortText, hostText } from '../../src/formats/host-port.ts';
import { parseAuthority } from '../../src/formats/request-target.ts';

test('a host and its port are written as they are read', () => {
	for (const host of ['db.internal', '10.0.0.1', '::1', '2001:db8::1'])
		assert.deepEqual(parseAuthority(hostPortText(host, 5432)), { host, port: 5432 });
	assert.equal(hostPortText('::1', 80), '[::1]:80');
	assert.equal(hostText('::1'), '[::1]');
	assert.equal(hostText('db.internal'), 'db.internal');
});
