import { createGunzip } from 'node:zlib';

/** Of a gzip file: the length of what is in it, modulo 2^32 (RFC 1952 §2.3.1). A hint: whoever wrote it may lie. */
const LENGTH_AT_END = 4;
const CHUNK = 64 * 1024;

/** What is in a gzip file. Rejects with Error when it is none, or holds more than `limit` bytes; memory for one copy is taken, and little more. */
export async function unpack(archive: Buffer, limit: number): Promise<Buffer> {
	const hint = archive.length < LENGTH_AT_END ? 0 : archive.readUInt32LE(archive.length - LENGTH_AT_END);
	let whole = Buffer.allocUnsafe(Math.min(hint, limit));
	let length = 0;
	const gunzip = createGunzip({ chunkSize: CHUNK });
	gunzip.end(archive);
	for await (const chunk of gunzip as AsyncIterable<Buffer>) {
		if (length + chunk.length > limit) throw new Error(`it unpacks to more than ${limit} bytes`);
		if (length + chunk.length > whole.length) {
			const larger = Buffer.allocUnsafe(Math.min(limit, Math.max(length + chunk.length, whole.length * 2)));
			whole.copy(larger, 0, 0, length);
			whole = larger;
		}
		length += chunk.copy(whole, length);
	}
	return whole.subarray(0, length);
}
