import { configJsonSchemaText } from '../src/config/json-schema.ts';
import { causesPage } from './page-causes.ts';
import { commandsPage } from './page-commands.ts';
import { configurationPage } from './page-configuration.ts';
import { inputPage } from './page-input.ts';
import { metricsPage } from './page-metrics.ts';

/** Every file that is made from the code: path from the repository's root, and text. test/docs checks what is committed. */
export async function generatedFiles(): Promise<ReadonlyMap<string, string>> {
	return new Map([
		['docs/causes.md', causesPage()],
		['docs/commands.md', commandsPage()],
		['docs/configuration.md', configurationPage()],
		['docs/input.md', inputPage()],
		['docs/metrics.md', await metricsPage()],
		['sallyport.schema.json', configJsonSchemaText()],
	]);
}
