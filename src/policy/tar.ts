/** Reads and writes tar archives (POSIX.1-2017 pax, ustar) in memory: no links, no devices, nothing is unpacked to disk. */

const BLOCK = 512;

export interface TarEntry {
	/** With slashes, without a leading one. */
	readonly path: string;
	readonly bytes: Buffer;
}

export interface TarLimits {
	readonly entries: number;
}

/** Throws Error on what is no such archive, or goes beyond the limits. */
export function readTar(archive: Buffer, limits: TarLimits): readonly TarEntry[] {
	const entries: TarEntry[] = [];
	const seen = new Set<string>();
	let longName: string | undefined;
	let at = 0;
	let headers = 0;
	while (at + BLOCK <= archive.length) {
		const header = archive.subarray(at, at + BLOCK);
		if (header.every(byte => byte === 0)) return entries;
		// A file has two at most, the other for a long name; folders are few.
		if (++headers > limits.entries * 3) throw new Error(`the archive has more than ${limits.entries * 3} entries`);
		if (checksum(header) !== octal(header, 148, 8))
			throw new Error('the archive is damaged: wrong checksum of a header');
		const size = octal(header, 124, 12);
		const body = at + BLOCK;
		if (body + size > archive.length) throw new Error('the archive ends in the middle of a file');
		const bytes = archive.subarray(body, body + size);
		at = body + Math.ceil(size / BLOCK) * BLOCK;
		const type = String.fromCharCode(header[156] ?? 0);
		if (type === 'x') {
			longName = paxPath(bytes) ?? longName;
		} else if (type === 'L') {
			longName = text(bytes, 0, bytes.length);
		} else if (type === '0' || type === '\0') {
			const path = cleanPath(longName ?? nameOf(header));
			longName = undefined;
			if (seen.has(path)) throw new Error(`the archive has ${path} twice`);
			if (entries.length >= limits.entries) throw new Error(`the archive has more than ${limits.entries} files`);
			seen.add(path);
			entries.push({ path, bytes });
		} else if (type === '5' || type === 'g') {
			longName = undefined;
		} else {
			throw new Error('the archive has an entry that is neither a file nor a folder');
		}
	}
	throw new Error('the archive has no end');
}

/** Numbers and dates are fixed, so equal files give equal archives. */
export function writeTar(entries: readonly TarEntry[]): Buffer {
	const parts: Buffer[] = [];
	for (const { path, bytes } of entries) {
		if (Buffer.byteLength(path) > 100) {
			const record = paxRecord('path', path);
			parts.push(header('PaxHeader', record.length, 'x'), padded(record));
		}
		parts.push(header(path, bytes.length, '0'), padded(bytes));
	}
	parts.push(Buffer.alloc(2 * BLOCK));
	return Buffer.concat(parts);
}

function header(path: string, size: number, type: string): Buffer {
	const block = Buffer.alloc(BLOCK);
	Buffer.from(path).copy(block, 0, 0, 100);
	block.write('0000644\0', 100);
	block.write('0000000\0', 108);
	block.write('0000000\0', 116);
	block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
	block.write('00000000000\0', 136);
	block.write('        ', 148);
	block.write(type, 156);
	block.write('ustar\0', 257);
	block.write('00', 263);
	block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, 148);
	return block;
}

const padded = (bytes: Buffer): Buffer =>
	Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function paxRecord(key: string, value: string): Buffer {
	const rest = Buffer.byteLength(` ${key}=${value}\n`);
	let length = rest + String(rest).length;
	if (String(length).length !== String(rest).length) length = rest + String(length).length;
	return Buffer.from(`${length} ${key}=${value}\n`);
}

function paxPath(bytes: Buffer): string | undefined {
	let path: string | undefined;
	let at = 0;
	while (at < bytes.length) {
		const space = bytes.indexOf(0x20, at);
		const length = space < 0 ? Number.NaN : Number(bytes.toString('latin1', at, space));
		if (!Number.isInteger(length) || length < 1 || at + length > bytes.length)
			throw new Error('the archive has a damaged extended header');
		const [key, ...value] = bytes.toString('utf8', space + 1, at + length - 1).split('=');
		if (key === 'path') path = value.join('=');
		at += length;
	}
	return path;
}

function nameOf(header: Buffer): string {
	const name = text(header, 0, 100);
	const prefix = header.toString('latin1', 257, 262) === 'ustar' ? text(header, 345, 155) : '';
	return prefix === '' ? name : `${prefix}/${name}`;
}

function cleanPath(path: string): string {
	const segments = path.split('/').filter(segment => segment !== '' && segment !== '.');
	if (segments.includes('..') || segments.length === 0) throw new Error('the archive has a path that leads out of it');
	return segments.join('/');
}

function text(bytes: Buffer, start: number, length: number): string {
	const end = bytes.indexOf(0, start);
	return bytes.toString('utf8', start, end < 0 || end > start + length ? start + length : end);
}

function octal(block: Buffer, start: number, length: number): number {
	const digits = text(block, start, length).trim();
	if (!/^[0-7]{1,11}$/.test(digits)) throw new Error('the archive has a damaged header');
	return Number.parseInt(digits, 8);
}

/** The sum of the header's bytes, its own field counted as spaces. */
function checksum(block: Buffer): number {
	let sum = 0;
	for (let index = 0; index < BLOCK; index++) sum += index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0);
	return sum;
}
