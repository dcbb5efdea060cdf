import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generatedFiles } from './generated.ts';

/** Writes what is made from the code: `node scripts/generate-docs.ts`. */
for (const [path, text] of await generatedFiles()) {
	writeFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), text);
	process.stdout.write(`wrote ${path}\n`);
}
