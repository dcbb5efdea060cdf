import { accessSync, constants, statSync } from 'node:fs';
import type { Config } from './schema.ts';

type Path = readonly (string | number)[];

/** A file or folder that the configuration names, and that cannot be read. */
export interface MissingFile {
	/** Where the configuration names it. */
	readonly path: Path;
	readonly message: string;
}

const CERTS = 'for development, `sallyport certs init` makes it';

/** What the configuration names and Sallyport only reads: what it makes by itself need not be there. */
export function missingFiles(config: Config): readonly MissingFile[] {
	const found: MissingFile[] = [];
	const look = (path: Path, file: string | undefined, kind: 'file' | 'any' = 'file', hint = ''): void => {
		const why = file === undefined ? undefined : whyNot(file, kind);
		if (why !== undefined) found.push({ path, message: `${why}${hint === '' ? '' : `; ${hint}`}` });
	};
	const { svid, trust_bundles: bundles } = config.identity;
	const at = (name: string): Path => ['identity', 'svid', 'files', name];
	for (const name of ['certificate', 'key', 'trust_bundle'] as const) look(at(name), svid.files?.[name], 'file', CERTS);
	look(at('jwt_bundle'), svid.files?.jwt_bundle);
	for (const [domain, { files, https_web: endpoint }] of Object.entries(bundles)) {
		const place = ['identity', 'trust_bundles', domain];
		for (const [index, file] of (files ?? []).entries()) look([...place, 'files', index], file);
		look([...place, 'https_web', 'roots'], endpoint?.roots);
	}
	const { policy } = config;
	look(['policy', 'opa'], policy.opa);
	for (const [index, file] of (policy.files ?? []).entries()) look(['policy', 'files', index], file, 'any');
	for (const [index, bundle] of (policy.bundles ?? []).entries()) {
		look(['policy', 'bundles', index, 'path'], bundle.path);
		for (const [place, file] of (bundle.files ?? []).entries())
			look(['policy', 'bundles', index, 'files', place], file, 'any');
	}
	for (const [name, { tls }] of Object.entries(config.upstreams))
		look(['upstreams', name, 'tls', 'trust_bundle'], tls?.trust_bundle);
	look(['audit', 'key'], config.audit.key);
	return found;
}

function whyNot(file: string, kind: 'file' | 'any'): string | undefined {
	try {
		accessSync(file, constants.R_OK);
		return kind === 'file' && statSync(file).isDirectory() ? `${file} is a folder` : undefined;
	} catch (error) {
		const { code } = error as NodeJS.ErrnoException;
		if (code === 'ENOENT' || code === 'ENOTDIR')
			return `there is no ${kind === 'file' ? 'file' : 'file or folder'} ${file}`;
		return `${file} cannot be read (${String(code)})`;
	}
}
