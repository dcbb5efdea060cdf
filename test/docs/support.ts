import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Block {
	/** `docs/policy.md:12` */
	readonly place: string;
	readonly page: string;
	readonly language: string;
	readonly text: string;
	/** Why it is not run; undefined when it is. */
	readonly notRun?: string;
}

export const pageText = (page: string): string => readFileSync(`${ROOT}/${page}`, 'utf8');

/** README.md and every page of docs/. */
export const pages = (): readonly string[] => [
	'README.md',
	...readdirSync(`${ROOT}/docs`)
		.filter(name => name.endsWith('.md'))
		.map(name => `docs/${name}`),
];

/** The fenced blocks of a page, in order. */
export function blocksOf(page: string): readonly Block[] {
	const text = pageText(page);
	return [...text.matchAll(/(?:<!-- not run: (.+) -->\n)?^```(\w*)\n([\s\S]*?)^```$/gm)].map(match => {
		const [, notRun, language = '', body = ''] = match;
		const line = text.slice(0, match.index).split('\n').length;
		return { place: `${page}:${line}`, page, language, text: body, ...(notRun === undefined ? {} : { notRun }) };
	});
}

export const blocksIn = (...languages: readonly string[]): readonly Block[] =>
	pages().flatMap(page => blocksOf(page).filter(({ language }) => languages.includes(language)));
