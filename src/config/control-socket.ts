import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';

/**
 * The control socket that a configuration names, read leniently: whoever asks a running Sallyport needs neither its
 * secrets nor a configuration without mistakes. Undefined when it names none.
 */
export function findControlSocket(
	file: string,
	env: NodeJS.ProcessEnv,
): string | undefined | { readonly unreadable: string } {
	let document: unknown;
	try {
		document = parse(readFileSync(file, 'utf8'), { maxAliasCount: 0, logLevel: 'error' });
	} catch (error) {
		const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
		const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
		return { unreadable: missing ? `there is no ${file}` : `${file} cannot be read: ${why}` };
	}
	const socket = at(at(at(document, 'admin'), 'control'), 'socket');
	const variable = at(socket, 'env');
	const text = typeof variable === 'string' ? env[variable] : socket;
	return typeof text === 'string' && text !== '' ? resolve(dirname(resolve(file)), text) : undefined;
}

const at = (value: unknown, key: string): unknown =>
	typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
