import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadPolicy } from '@open-policy-agent/opa-wasm';
import { BUILTINS } from '../../src/policy/builtins/registry.ts';

import { openEngine } from '../../src/policy/engine.ts';
import { compileAny, folder, MEMORY, theOpa } from './support.ts';

test('the lean evaluation gives what the library gives', async t => {
	const root = await folder(t, {
		'request.rego':
			'package sallyport.request\n\nallow if {\n\tsome prefix in input.agent.prefixes\n\tdata.grants[prefix][input.target]\n}\n\ndeny contains {"msg": concat(" ", ["no", input.target]), "detail": input.deep} if input.deep.n > 1\n\nask contains word if some word in input.words\n',
		'data.json': '{"grants":{"/a":{"crm":true},"/a/b":{"erp":true}}}',
	});
	const bundle = await compileAny(await theOpa(), [root]);
	const reference = await loadPolicy(new Uint8Array(bundle.wasm));
	reference.setData(JSON.parse(bundle.data.toString()) as object);
	const engine = openEngine(await WebAssembly.compile(bundle.wasm), bundle.data, {
		memory: MEMORY,
		builtins: BUILTINS,
	});
	const entrypoint = 'sallyport/contract/request/verdict';
	for (const input of [
		{},
		{ agent: { prefixes: ['/a'] }, target: 'crm' },
		{ agent: { prefixes: ['/a', '/a/b'] }, target: 'erp', words: ['ä', '😀', '"\\\n\u0000'] },
		{ target: 'ü', deep: { n: 1.5, list: [null, true, {}, []], text: 'ß'.repeat(1000) } },
		{ agent: { prefixes: Array.from({ length: 500 }, (_, index) => `/x${index}`) } },
	]) {
		const text = JSON.stringify(input);
		const ours = engine.evaluate(engine.entrypoints.get(entrypoint) ?? -1, text);
		assert.ok('raw' in ours);
		assert.deepEqual(JSON.parse(ours.raw), reference.evaluate(input, entrypoint), text);
	}
});
