import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

/**
 * Writes dist/: the sources, and the packages that every start loads, in few files. Node takes a third of a millisecond for
 * a file, and a start would load five hundred. Names and lines stay as they are written: stack traces are for people.
 * usage: build.ts [--out FOLDER]
 */

const ROOT = join(import.meta.dirname, '..');

/**
 * Loaded by every start, and nothing but JavaScript. They are in node_modules, too, where scanners and readers of licences
 * look; all others are loaded from there when they are needed.
 */
const INSIDE: ReadonlySet<string> = new Set([
	'@open-policy-agent/opa-wasm',
	'commander',
	'ipaddr.js',
	'node-forge',
	'pino',
	'prom-client',
	're2js',
	'yaml',
	'zod',
]);

const DIST = join(ROOT, 'dist');
const { out } = parseArgs({ options: { out: { type: 'string', default: DIST } } }).values;
const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<
	'dependencies' | 'devDependencies',
	Record<string, string>
>;

// Chunks are named by what they hold: those of an older build would stay.
if (out === DIST) rmSync(DIST, { recursive: true, force: true });
await build({
	absWorkingDir: ROOT,
	// The program, and its threads: beside one another, so that a chunk finds them where the sources do.
	entryPoints: ['src/main.ts', 'src/config/config-worker.ts', 'src/policy/apart/bundle-worker.ts'],
	entryNames: '[name]',
	outdir: out,
	bundle: true,
	splitting: true,
	format: 'esm',
	platform: 'node',
	target: 'node24',
	external: Object.keys({ ...dependencies, ...devDependencies }).filter(name => !INSIDE.has(name)),
	// What packages in CommonJS ask Node for.
	banner: {
		js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);",
	},
	legalComments: 'inline',
	logLevel: 'warning',
});
