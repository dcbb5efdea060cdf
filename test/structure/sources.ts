import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The tree as the structure tests see it. */

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Source {
	/** From the root, with `/`. */
	readonly path: string;
	readonly text: string;
}

const GENERATED = new Set(['node_modules', 'dist', 'var', 'results', '.git']);

/** Files below the folders (or the files themselves), from the root. */
export function sources(paths: readonly string[], ending: RegExp): Source[] {
	const found: Source[] = [];
	const visit = (path: string): void => {
		for (const entry of readdirSync(join(ROOT, path), { withFileTypes: true })) {
			if (GENERATED.has(entry.name)) continue;
			const inner = join(path, entry.name);
			if (entry.isDirectory()) visit(inner);
			else if (entry.isFile() && ending.test(entry.name)) found.push({ path: inner, text: readText(inner) });
		}
	};
	for (const path of paths) {
		if (!existsSync(join(ROOT, path))) continue;
		visit(path);
	}
	return found;
}

export const readText = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
export const readJson = (path: string): Record<string, unknown> =>
	JSON.parse(readText(path)) as Record<string, unknown>;

const NAMES = String.raw`(?:\{[^}]*\}|\*(?:\s+as\s+\w+)?|[\w$]+(?:\s*,\s*\{[^}]*\})?)`;
const IMPORT = new RegExp(
	String.raw`(?:^(?:import|export)\s+(?:type\s+)?${NAMES}\s+from\s+|^import\s+|\bimport\()'([^']+)'`,
	'gm',
);

/** What a module imports, types too: relative ones as paths from the root, others as they stand. */
export function importsOf({ path, text }: Source): string[] {
	const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
	return [...code.matchAll(IMPORT)].map(([, name = '']) =>
		name.startsWith('.') ? relative(ROOT, join(ROOT, dirname(path), name)) : name,
	);
}

/** Of these, what is loaded with it: neither types nor what is imported when it is needed. */
export function loadedBy({ path, text }: Source): string[] {
	const types = /^(import|export)\s+(type\s+[\w{*]|\{\s*(type\s+\w+(\s+as\s+\w+)?\s*,?\s*)+\}\s+from)[^']*'[^']+';?$/gm;
	return importsOf({ path, text: text.replace(types, '').replace(/\bimport\('[^']+'\)/g, '') });
}
