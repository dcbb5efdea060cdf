import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Identity, identity } from '../../src/model/agent.ts';
import type { Cause } from '../../src/model/cause.ts';
import type { Conn } from '../../src/model/conn.ts';
import { Connections } from '../../src/proxy/listener/connection.ts';
import { spiffeId } from '../support/door-certificates.ts';

const AGENT = spiffeId('spiffe://example.org/agents/a');
const token = (fingerprint: string): Identity => identity(AGENT, 'token', { token: fingerprint });

function open(...identities: readonly Identity[]) {
	let last = 0;
	const connections = new Connections(
		'egress',
		() => {},
		() => ++last,
	);
	connections.limits = { connections: 10, connectionsPerAgent: 10 };
	const conns = identities.map(who => {
		const conn = connections.identified(who);
		assert.ok('id' in conn);
		return conn;
	});
	return { connections, conns, causes: () => conns.map(({ life }): Cause | undefined => life.cause) };
}

const fail = (error: unknown): never => {
	throw error;
};

test('a connection is ended by any token that it has shown: the one it began with, and the one it showed last', () => {
	for (const [revoked, expected] of [
		['one', ['revoked', 'revoked', undefined]],
		['two', ['revoked', undefined, 'revoked']],
		['three', [undefined, undefined, undefined]],
	] as const) {
		const { connections, conns, causes } = open(token('one'), token('one'), token('two'));
		// The first one goes on with a token that was written since.
		connections.shows(conns[0] as Conn, token('two'));
		const ended = connections.endWhere(who => who.token === revoked, 'revoked', fail);
		assert.deepEqual(causes(), expected);
		assert.equal(ended.length, expected.filter(cause => cause !== undefined).length);
		assert.deepEqual(
			connections.endWhere(who => who.token === revoked, 'revoked', fail),
			[],
			'nobody is ended twice',
		);
	}
});

test('what fails at the end of one connection is told, and the others end', () => {
	const { connections, conns, causes } = open(token('one'), token('one'));
	conns[0]?.life.onEnd(() => {
		throw new Error('its ender fails');
	});
	const failures: unknown[] = [];
	const ended = connections.endWhere(
		() => true,
		'revoked',
		error => failures.push(error),
	);
	assert.deepEqual([ended.length, failures.length, causes()], [2, 1, ['revoked', 'revoked']]);
});

test('the end of all of them is no different', () => {
	const { connections, conns, causes } = open(token('one'), token('two'));
	conns[0]?.life.onEnd(() => {
		throw new Error('its ender fails');
	});
	const failures: unknown[] = [];
	connections.end('draining', error => failures.push(error));
	assert.deepEqual([failures.length, causes()], [1, ['draining', 'draining']]);
});
