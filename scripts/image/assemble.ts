import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, extname, join, relative } from 'node:path';

/**
 * Fills the tree of the image beside dist/: production dependencies without what only people and compilers read, the
 * pinned Node byte for byte as the lock file holds it, policies and licence.
 * usage: assemble.ts OUT, in the root of the checkout
 */

interface Locked {
	readonly dev?: boolean;
	readonly devOptional?: boolean;
}

const NODE = /^node_modules\/node-linux-/;
/** Types, which a dependency asks for and only compilers read. */
const TYPES = /(^|\/)node_modules\/(@types\/|undici-types$)/;
/** Where the image keeps the tree: a script's first line must name its interpreter by an absolute path. */
const HOME = '/opt/sallyport';
/** Read by compilers, editors and people, never by Node. Folders at the top of a package only: deeper ones may be code. */
const DEAD_FILES: ReadonlySet<string> = new Set([
	'.ts',
	'.mts',
	'.cts',
	'.map',
	'.md',
	'.markdown',
	'.html',
	'.sh',
	'.cc',
	'.hh',
	'.txt',
	'.inc',
	'.S',
	'.asm',
]);
const DEAD_FOLDERS: ReadonlySet<string> = new Set([
	'benchmark',
	'benchmarks',
	'doc',
	'docs',
	'example',
	'examples',
	'test',
	'tests',
]);
/** Parts of single packages that Node does not load: sources, browser bundles, builds for other systems. */
const UNUSED: Readonly<Record<string, readonly string[]>> = {
	koffi: ['cnoke.cjs', 'lib/native', 'vendor'],
	'@koromix/koffi-linux-arm64': ['musl_arm64'],
	'@koromix/koffi-linux-x64': ['musl_x64'],
	'@opentelemetry/api': ['build/esm', 'build/esnext'],
	bintrees: ['dist', 'meteor'],
	'node-forge': ['dist', 'flash'],
	yaml: ['browser'],
	zod: ['src'],
};

const out = process.argv[2];
if (out === undefined) throw new Error('usage: assemble.ts OUT');
const read = (file: string): Record<string, unknown> =>
	JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;

for (const [path, { dev, devOptional }] of Object.entries(
	read('package-lock.json')['packages'] as Record<string, Locked>,
)) {
	// Packages for other systems are in the lock file and not on the disk.
	if (path === '' || dev === true || devOptional === true || TYPES.test(path) || !existsSync(path)) continue;
	if (NODE.test(path)) copyNode(path, join(out, 'bin'));
	else copyPackage(path, join(out, path));
}
const { name, version, license, type } = read('package.json');
writeFileSync(join(out, 'package.json'), `${JSON.stringify({ name, version, license, type })}\n`);
writeFileSync(
	join(out, 'bin', 'sallyport'),
	`#!${HOME}/bin/node --disable-warning=ExperimentalWarning\nimport '${HOME}/dist/main.js';\n`,
);
for (const part of ['LICENSE', 'policies']) cpSync(part, join(out, part), { recursive: true });

function copyNode(from: string, to: string): void {
	mkdirSync(to, { recursive: true });
	cpSync(join(from, 'bin', 'node'), join(to, 'node'));
	cpSync(join(from, 'LICENSE'), join(to, 'node.LICENSE'));
}

function copyPackage(from: string, to: string): void {
	const unused = (UNUSED[from.slice(from.lastIndexOf('node_modules/') + 'node_modules/'.length)] ?? []).map(part =>
		join(from, part),
	);
	cpSync(from, to, {
		recursive: true,
		filter(source) {
			if (source === from) return true;
			const path = relative(from, source);
			const name = basename(source);
			// What a package has in a node_modules of its own has its own line in the lock file.
			if (unused.includes(source) || name === 'node_modules' || path.startsWith('.')) return false;
			if (DEAD_FOLDERS.has(path)) return false;
			return /^(licen[cs]e|notice|copying)/i.test(name) || !DEAD_FILES.has(extname(source));
		},
	});
}
