import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMap, parseDocument, stringify } from 'yaml';
import { starterFiles } from '../../src/cli/starter.ts';
import { parseConfig } from '../../src/config/load.ts';
import { problemText } from '../../src/config/loaded.ts';
import { schema } from '../../src/config/schema.ts';
import { findOpa } from '../../src/policy/opa.ts';
import { check } from '../../src/policy/opa-check.ts';
import { type SourceFile, withStage } from '../../src/policy/sources.ts';
import { sallyport } from '../cli/run.ts';
import { makeWorkspace, TRUST_DOMAIN } from '../support/workspace.ts';
import { type Block, blocksIn, pageText } from './support.ts';

/** What stands in the pages as Rego and as configuration is good. Commands are in commands.test.ts. */

test('Rego in the pages compiles, strictly, against the schema of the input', async () => {
	const opa = await findOpa(undefined, process.env);
	const blocks = blocksIn('rego');
	assert.ok(blocks.length >= 6, `${blocks.length} blocks of Rego`);
	await Promise.all(
		blocks.map(async ({ place, text }) => {
			const file = (path: string, kind: SourceFile['kind'], bytes: string): SourceFile => ({
				path,
				relative: path,
				kind,
				bytes: Buffer.from(bytes),
				staged: path,
			});
			// Tests give inputs of their own, with only what they need.
			const isTest = /^package \S+_test$/m.test(text);
			const files = [
				file('block.rego', isTest ? 'test' : 'rego', text),
				file('schema/input.json', 'data', pageText('policies/input.schema.json')),
			];
			await assert.doesNotReject(
				withStage(files, folder =>
					check(opa, files, folder, [
						'--strict',
						'--ignore',
						'schema',
						...(isTest ? [] : ['--schema', 'schema/input.json']),
					]),
				),
				place,
			);
		}),
	);
});

const SECTIONS: readonly string[] = Object.keys(schema.shape);
/** A file that lacks one of these is a part of one. */
const WHOLE = ['identity', 'policy', 'listeners'];

const keysOf = ({ place, text }: Block): readonly string[] => {
	const document = parseDocument(text);
	assert.deepEqual(document.errors, [], place);
	return isMap(document.contents) ? document.contents.items.map(({ key }) => String(key)) : [];
};

const isWhole = (block: Block): boolean => WHOLE.every(key => keysOf(block).includes(key));

test('whole configurations in the pages pass `config check`', async t => {
	const workspace = makeWorkspace(t);
	const blocks = blocksIn('yaml').filter(isWhole);
	assert.ok(blocks.length >= 1, 'there is a whole configuration');
	for (const { place, text } of blocks) {
		workspace.write('sallyport.yaml', text);
		const { code, err } = await sallyport(['config', 'check', '--no-files'], { cwd: workspace.directory });
		assert.equal(code, 0, `${place}: ${err}`);
	}
});

test('parts of configurations in the pages are good in the place of what `init` writes', () => {
	const starter: unknown = parseDocument(starterFiles(TRUST_DOMAIN)['sallyport.yaml'] ?? '').toJS();
	assert.ok(typeof starter === 'object' && starter !== null);
	const blocks = blocksIn('yaml').filter(block => !isWhole(block) && keysOf(block).some(key => SECTIONS.includes(key)));
	assert.ok(blocks.length >= 3, `${blocks.length} parts of configurations`);
	for (const { place, text } of blocks) {
		const part: unknown = parseDocument(text).toJS();
		assert.ok(typeof part === 'object' && part !== null, place);
		const found = parseConfig(
			stringify({ ...starter, ...part }),
			'/etc/sallyport/sallyport.yaml',
			{},
			{ withoutCredentials: true },
		);
		const problems = 'problems' in found ? found.problems.map(problem => problemText(place, problem)) : [];
		assert.deepEqual(problems, []);
	}
});
