import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeSvid } from '../../../src/identity/rules.ts';
import { BUNDLES, brokenCases } from './cases.ts';
import { AGENT, ca, forge, leafExtensions, NOW, name, ROOT, san, sequence, uri } from './forge.ts';

/** Several hundred certificates, each broken in one way: none is taken, and each refusal names the rule. */

const when = { now: NOW, skew: 0 };
const cases = brokenCases();

test('what the cases are made from is good', () => {
	const issuing = ca({ issuer: ROOT, subject: name('issuing') });
	for (const chain of [
		[forge({ issuer: ROOT })],
		[forge({ issuer: issuing }), issuing],
		[forge({ issuer: ROOT, subject: sequence(), extensions: leafExtensions({ san: san([uri(AGENT)], true) }) })],
	]) {
		const judged = judgeSvid(
			chain.map(({ certificate }) => certificate),
			BUNDLES,
			when,
		);
		assert.ok(!('cause' in judged), 'cause' in judged ? judged.detail : '');
		assert.equal(judged.spiffeId.id, AGENT);
	}
});

const byRule = Map.groupBy(cases, ({ rule }) => rule);
for (const [rule, broken] of byRule) {
	test(`${rule} (${broken.length})`, () => {
		for (const { way, chain, cause, detail } of broken) {
			const judged = judgeSvid(chain, BUNDLES, when);
			assert.ok('cause' in judged, `${way}: it was taken`);
			assert.equal(judged.cause, cause, `${way}: ${judged.detail}`);
			assert.match(judged.detail ?? '', detail, `${way}: ${judged.detail}`);
		}
	});
}

test('there are several hundred of them', t => {
	t.diagnostic(`${cases.length} certificates break ${byRule.size} rules`);
	assert.ok(cases.length >= 400, String(cases.length));
});

test('no change of a single byte leaves a certificate good', () => {
	const good = forge({ issuer: ROOT }).certificate;
	for (let at = 0; at < good.length; at++) {
		for (const change of [0x01, 0x80, 0xff]) {
			const changed = Buffer.from(good);
			changed[at] = (changed[at] ?? 0) ^ change;
			assert.ok('cause' in judgeSvid([changed], BUNDLES, when), `byte ${at}`);
		}
	}
});
