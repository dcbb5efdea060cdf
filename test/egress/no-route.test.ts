import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DNS_QUERY, probeUdp } from '../../src/cli/egress/probe.ts';

test('a way that the kernel refuses when the socket is connected is closed, and ends no command', async () => {
	// As to an address of a family that a pod has no route for: connect(2) fails itself, EACCES here without SO_BROADCAST.
	const { found, detail } = await probeUdp('255.255.255.255', 53, DNS_QUERY, 60_000);
	assert.equal(found, 'closed', detail);
});
