/** A table; cells may hold Markdown, and line feeds and bars in them are kept from breaking it. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
	const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
	const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |\n`;
	return `${line(head)}|${head.map(() => '---').join('|')}|\n${rows.map(line).join('')}`;
}

/** What stands first in every such file. */
export const generatedFrom = (source: string): string =>
	`<!-- Made from ${source} by scripts/generate-docs.ts; change it there. -->\n`;

export const code = (text: string): string => `\`${text}\``;
