import { findPackageJSON } from 'node:module';
import { dirname } from 'node:path';

/** The folder of a checkout or an installed package, which holds policies/ and demo/: the nearest with a package.json. */
export function packageRoot(): string {
	const found = findPackageJSON(import.meta.url);
	if (found === undefined) throw new Error('there is no package.json above the program');
	return dirname(found);
}
