import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { CAUSES } from '../../src/model/cause.ts';
import { ROOT, readText, sources } from './sources.ts';

const INVARIANTS = 9;

test('the README opens with its two lines, which are the scripts of the package', () => {
	const readme = readText('README.md');
	const block = '```\nnpm ci && npm run demo\nnpm ci && npm test\n```';
	assert.ok(readme.indexOf(block) !== -1 && readme.indexOf(block) < readme.indexOf('\n## '));
	assert.match(readText('.ci/run'), /^npm ci && npm test$/m);
});

test('every invariant names tests, and every test that is named is there', () => {
	const page = readText('docs/threat-model.md');
	for (let invariant = 1; invariant <= INVARIANTS; invariant++) {
		assert.match(page, new RegExp(`^${invariant}\\. \\*\\*`, 'm'), `invariant ${invariant} is stated`);
		const row = new RegExp(`^\\| ${invariant} \\|(.*)\\|$`, 'm').exec(page)?.[1] ?? '';
		const named = [...row.matchAll(/`(test\/[^`]+)`/g)].map(([, path = '']) => path);
		assert.ok(named.length > 0, `invariant ${invariant} names a test`);
		for (const path of named) assert.ok(path.endsWith('.test.ts') && existsSync(join(ROOT, path)), path);
	}
});

test('the way of a call names every cause', () => {
	const page = readText('docs/architecture.md');
	const diagram = page.slice(page.indexOf('## The way of a call'), page.indexOf('## Conn, Life, Permit'));
	assert.deepEqual(
		CAUSES.filter(cause => !new RegExp(`\\b${cause}\\b`).test(diagram)),
		[],
	);
});

test('links between the pages lead somewhere', () => {
	const pages = [
		...sources(['docs', 'policies', 'certs', 'bench'], /\.md$/),
		...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'].map(path => ({ path, text: readText(path) })),
	];
	const broken = pages.flatMap(({ path, text }) =>
		[...text.matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)]
			.map(([, link = '']) => link)
			.filter(link => !/^[a-z]+:/.test(link) && !existsSync(join(ROOT, dirname(path), link)))
			.map(link => `${path}: ${link}`),
	);
	assert.deepEqual(broken, []);
	const lost = pages.flatMap(({ path, text }) =>
		[...text.matchAll(/\]\(([^)#\s:]*)#([^)\s]+)\)/g)]
			.filter(([, link = '', anchor = '']) => {
				const to = link === '' ? path : join(dirname(path), link);
				return to.endsWith('.md') && !anchorsOf(readText(to)).has(anchor);
			})
			.map(([link]) => `${path}: ${link}`),
	);
	assert.deepEqual(lost, []);
});

/** As GitHub makes them of headings. */
const anchorsOf = (page: string): ReadonlySet<string> =>
	new Set(
		[...page.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
			heading
				.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
				.toLowerCase()
				.replace(/[^\p{L}\p{N}_ -]/gu, '')
				.replaceAll(' ', '-'),
		),
	);

test('the README links every page of docs/', () => {
	const readme = readText('README.md');
	assert.deepEqual(
		sources(['docs'], /\.md$/)
			.map(({ path }) => path)
			.filter(path => !readme.includes(`(${path})`)),
		[],
	);
});
