import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A ConfigMap or Secret as the kubelet mounts it: files are links into `..data`, and that is a link which is swapped.
 * Versions begin at 1.
 */
export function mountVolume(folder: string, files: Readonly<Record<string, string | Buffer>>, version: number): void {
	const own = `..version-${version}`;
	mkdirSync(join(folder, own), { recursive: true });
	for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, own, name), content, { mode: 0o644 });
	symlinkSync(own, join(folder, '..data_tmp'));
	renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
	if (version === 1) for (const name of Object.keys(files)) symlinkSync(join('..data', name), join(folder, name));
}
