import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSpiffeId } from '../../src/formats/spiffe-id.ts';

const parsed = (text: string) => {
	const id = parseSpiffeId(text);
	if ('broken' in id) assert.fail(`${text}: ${id.broken}`);
	return id;
};

test('an id falls into trust domain, path, segments and prefixes', () => {
	const id = parsed('spiffe://example.org/agents/researcher');
	assert.deepEqual(id, {
		id: 'spiffe://example.org/agents/researcher',
		trustDomain: 'example.org',
		path: '/agents/researcher',
		segments: ['agents', 'researcher'],
		prefixes: ['/agents', '/agents/researcher'],
	});
	assert.ok(Object.isFrozen(id) && Object.isFrozen(id.segments) && Object.isFrozen(id.prefixes));
});

test('a trust domain has an id too, with an empty path', () => {
	const id = parsed('spiffe://example.org');
	assert.equal(id.path, '');
	assert.deepEqual([id.segments, id.prefixes], [[], []]);
});

test('every character that the standard lets in is let in, and upper case in paths stays', () => {
	parsed('spiffe://a-b.c_d.0/aZ0.-_/...');
	assert.notEqual(parsed('spiffe://a/B').id, parsed('spiffe://a/b').id);
});

test('what the standard forbids is named', () => {
	const cases: readonly [string, RegExp][] = [
		['', /empty/],
		['example.org/a', /scheme/],
		['https://example.org/a', /scheme/],
		['SPIFFE://example.org/a', /scheme/],
		['Spiffe://example.org/a', /scheme/],
		['spiffe:/example.org/a', /scheme/],
		['spiffe:///a', /trust domain is empty/],
		['spiffe://', /trust domain is empty/],
		['spiffe://Example.org/a', /trust domain has a character/],
		['spiffe://user@example.org/a', /trust domain has a character/],
		['spiffe://example.org:443/a', /trust domain has a character/],
		['spiffe://ex%61mple.org/a', /trust domain has a character/],
		['spiffe://exämple.org/a', /trust domain has a character/],
		['spiffe://[::1]/a', /trust domain has a character/],
		['spiffe://example.org?x', /trust domain has a character/],
		['spiffe://example.org#x', /trust domain has a character/],
		['spiffe://example.org/', /ends in \//],
		['spiffe://example.org/a/', /ends in \//],
		['spiffe://example.org//a', /empty segment/],
		['spiffe://example.org/a//b', /empty segment/],
		['spiffe://example.org/.', /segment \./],
		['spiffe://example.org/a/../b', /segment \.\./],
		['spiffe://example.org/a?b', /path has a character/],
		['spiffe://example.org/a#b', /path has a character/],
		['spiffe://example.org/a%20b', /path has a character/],
		['spiffe://example.org/a b', /path has a character/],
		['spiffe://example.org/ä', /path has a character/],
		['spiffe://example.org/*', /path has a character/],
		['spiffe://example.org/a\n', /path has a character/],
		['spiffe://example.org/a\0', /path has a character/],
		[' spiffe://example.org/a', /scheme/],
	];
	for (const [text, why] of cases) {
		const id = parseSpiffeId(text);
		assert.ok('broken' in id, `${JSON.stringify(text)} was taken`);
		assert.match(id.broken, why, JSON.stringify(text));
	}
});

test('the lengths are limits: 255 bytes of trust domain, 2048 bytes of id', () => {
	parsed(`spiffe://${'a'.repeat(255)}/x`);
	assert.ok('broken' in parseSpiffeId(`spiffe://${'a'.repeat(256)}/x`));
	const head = 'spiffe://example.org/';
	parsed(head + 'a'.repeat(2048 - head.length));
	assert.ok('broken' in parseSpiffeId(head + 'a'.repeat(2049 - head.length)));
});

test('an id that is taken is exactly its parts put together, and nothing else is taken', () => {
	const domain = fc.stringMatching(/^[a-z0-9._-]{1,40}$/);
	const segment = fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/);
	fc.assert(
		fc.property(domain, fc.array(segment, { maxLength: 8 }), (trustDomain, segments) => {
			const text = `spiffe://${[trustDomain, ...segments].join('/')}`;
			const id = parseSpiffeId(text);
			if (segments.includes('.') || segments.includes('..')) return 'broken' in id;
			if ('broken' in id) return false;
			return (
				id.id === text &&
				id.trustDomain === trustDomain &&
				id.segments.join('/') === segments.join('/') &&
				(id.prefixes.at(-1) ?? '') === id.path
			);
		}),
	);
	fc.assert(
		fc.property(fc.string({ unit: 'binary' }), tail => {
			const id = parseSpiffeId(`spiffe://example.org/${tail}`);
			return 'broken' in id || /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/.test(tail);
		}),
	);
});
