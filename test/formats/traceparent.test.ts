import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTraceparent, traceparentOf } from '../../src/formats/traceparent.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

test('what goes on', () => {
	for (const [text, sampled] of [
		[`00-${TRACE}-${SPAN}-01`, true],
		[`00-${TRACE}-${SPAN}-00`, false],
		// Flags that are not known yet change nothing.
		[`00-${TRACE}-${SPAN}-ff`, true],
		[`00-${TRACE}-${SPAN}-02`, false],
		// A later version may have more.
		[`cc-${TRACE}-${SPAN}-01`, true],
		[`cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, true],
	] as const)
		assert.deepEqual(parseTraceparent(text), { traceId: TRACE, spanId: SPAN, sampled }, text);
	const text = `00-${TRACE}-${SPAN}-01`;
	assert.equal(traceparentOf(parseTraceparent(text) ?? assert.fail()), text);
});

test('what is as if it were not there', () => {
	for (const text of [
		'',
		`00-${TRACE}-${SPAN}`,
		`00-${TRACE}-${SPAN}-1`,
		`00-${TRACE}-${SPAN}-01-more`,
		`00-${TRACE}-${SPAN}-01-`,
		`00-${TRACE}-${SPAN}-01 `,
		` 00-${TRACE}-${SPAN}-01`,
		`ff-${TRACE}-${SPAN}-01`,
		`cc-${TRACE}-${SPAN}-01.more`,
		`0-${TRACE}-${SPAN}-01`,
		`00-${TRACE.toUpperCase()}-${SPAN}-01`,
		`00-${TRACE}-${SPAN}-0G`,
		`00-${'0'.repeat(32)}-${SPAN}-01`,
		`00-${TRACE}-${'0'.repeat(16)}-01`,
		`00-${TRACE}0-${SPAN}-01`,
		`cc-${TRACE}-${SPAN}-01-${'x'.repeat(500)}`,
	])
		assert.equal(parseTraceparent(text), undefined, text);
});
