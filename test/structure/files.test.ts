import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Source, sources } from './sources.ts';

const LONGEST = 400;
const code = sources(['src', 'test', 'bench', 'scripts'], /\.ts$/);
const texts = sources(
	['src', 'test', 'bench', 'scripts', 'docs', 'bin', 'policies', 'helm', '.ci'],
	/(\.(ts|md|sh|rego|json|ya?ml|tpl|c|py|go)|^run|^sallyport|^[A-Z][A-Za-z]*)$/,
);

/** `path:line` of every line that fits. */
const lines = (files: readonly Source[], pattern: RegExp): string[] =>
	files.flatMap(({ path, text }) =>
		text.split('\n').flatMap((line, at) => (pattern.test(line) ? [`${path}:${at + 1}`] : [])),
	);

test(`no file of code is longer than ${LONGEST} lines`, () => {
	const long = code.filter(({ text }) => text.split('\n').length > LONGEST + 1).map(({ path }) => path);
	assert.deepEqual(long, []);
});

test('no module holds state of its own', () => {
	const src = code.filter(({ path }) => path.startsWith('src/'));
	const mutable =
		/^(export )?const \w+(: (?!readonly|Readonly)[^=]*)? = (new (Map|Set|WeakMap|WeakSet|Array)(<.*>)?\(\)|\[\]|\{\});?$/;
	assert.deepEqual(lines(src, /^(export )?(let|var) /), []);
	// Empty containers at the top level are there to be filled.
	assert.deepEqual(lines(src, mutable), []);
});

test('no loose ends and no escapes from the type checker', () => {
	// In two parts, or this file would hold them itself.
	const marks = ['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|');
	assert.deepEqual(lines(code, new RegExp(`\\b(${marks})\\b`)), []);
	assert.deepEqual(
		lines(code, new RegExp(`@ts-${'ignore'}|@ts-${'nocheck'}|\\bas ${'any'}\\b|: ${'any'}\\b|<${'any'}>`)),
		[],
	);
	assert.deepEqual(lines(code, new RegExp(`(test|it|describe)\\.${'only'}\\(|\\{ ?${'only'}: ?true`)), []);
});

test('no path of one machine stands in the tree', () => {
	assert.deepEqual(lines(texts, new RegExp(`(^|[^\\w.])/(${'work'}|${'root'}|home/\\w+)/`)), []);
	const shipped = texts.filter(({ path }) => /^(src|scripts|bin)\//.test(path));
	assert.deepEqual(lines(shipped, new RegExp(`['"\` (]/${'tmp'}/`)), []);
});

test('nothing secret stands in the tree', () => {
	assert.deepEqual(lines(texts, new RegExp(`^-----BEGIN [A-Z ]*PRIVATE ${'KEY'}-----$`)), []);
});
