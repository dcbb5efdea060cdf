import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
	clientFinal,
	clientFirst,
	readServerFirst,
	saslprep,
	serverIsGenuine,
} from '../../src/protocols/postgres/scram.ts';

const NONCE = 'rOprNGfwEbeRWgbNEkqO';
const CHALLENGE = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096';

test('the exchange of RFC 7677 §3, with the empty user that Postgres wants', async () => {
	const first = clientFirst(NONCE);
	assert.equal(first.message, `n,,n=,r=${NONCE}`);
	// The RFC's own numbers are for the user name "user": the proof is over the whole exchange.
	const asInRfc = { ...first, bare: `n=user,r=${NONCE}` };
	const server = readServerFirst(CHALLENGE, asInRfc);
	assert.ok(typeof server !== 'string');
	const final = await clientFinal('pencil', asInRfc, server);
	assert.equal(
		final.message,
		'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
	);
	assert.ok(serverIsGenuine('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=', final));
	assert.equal(serverIsGenuine('v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=', final), false);
	assert.equal(serverIsGenuine('v=', final), false);
	assert.equal(serverIsGenuine('e=invalid-proof', final), false);
});

test('nonces are fresh', () => {
	assert.notEqual(clientFirst().nonce, clientFirst().nonce);
});

test('a challenge that is not one is refused', () => {
	const first = clientFirst(NONCE);
	const salt = 's=W22ZaJ0SNY7soEsUEjb6gQ==';
	const wrong: [string, RegExp][] = [
		['', /malformed/],
		['e=other-error', /malformed/],
		[`m=ext,r=${NONCE}x,${salt},i=4096`, /malformed/],
		[`r=${NONCE},${salt},i=4096`, /nonce/],
		[`r=another,${salt},i=4096`, /nonce/],
		[`r=${NONCE}x,s=!!!!,i=4096`, /salt/],
		[`r=${NONCE}x,s=${'A'.repeat(1028)},i=4096`, /salt/],
		[`r=${NONCE}x,${salt},i=4095`, /fewer/],
		[`r=${NONCE}x,${salt},i=1000001`, /more than/],
		[`r=${NONCE}x,${salt},i=99999999999`, /malformed/],
		[`r=${NONCE}x,${salt},i=-4096`, /malformed/],
	];
	for (const [text, problem] of wrong) {
		const read = readServerFirst(text, first);
		assert.match(typeof read === 'string' ? read : 'read', problem, text);
	}
});

test('passwords are prepared as the server prepares them', () => {
	assert.equal(saslprep('pencil'), 'pencil');
	assert.equal(saslprep('I\u00adX'), 'IX');
	assert.equal(saslprep('a\u00a0b'), 'a b');
	assert.equal(saslprep('\u00aa'), 'a');
	assert.equal(saslprep('\u2168'), 'IX');
	assert.equal(saslprep('\u0007'), '\u0007', 'prohibited: used as it is');
	assert.equal(saslprep('\u0627\u0031'), '\u0627\u0031', 'broken direction: used as it is');
	assert.equal(saslprep('\u00ad'), '\u00ad', 'nothing left: used as it is');
});
