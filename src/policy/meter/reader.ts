/** A module that cannot be read, or holds what nobody here knows how to meter. */
export class Unmetered extends Error {}

export const tooLarge = (): Unmetered =>
	new Unmetered('the module is too large to be metered: what a rule lists by the thousand belongs in data.json');

/** Reads the binary format of WebAssembly (WebAssembly Core Specification 2.0 §5.2). Throws Unmetered beyond the end. */
export class Reader {
	readonly bytes: Uint8Array;
	readonly end: number;
	at: number;

	constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
		this.bytes = bytes;
		this.at = at;
		this.end = end;
	}

	get done(): boolean {
		return this.at >= this.end;
	}

	byte(): number {
		const byte = this.at < this.end ? this.bytes[this.at] : undefined;
		if (byte === undefined) throw new Unmetered('the module ends too soon');
		this.at++;
		return byte;
	}

	/** LEB128 of at most 32 bits, unsigned. */
	u32(): number {
		let value = 0;
		for (let shift = 0; shift < 35; shift += 7) {
			const byte = this.byte();
			value += (byte & 0x7f) * 2 ** shift;
			if (byte < 0x80) {
				if (value > 0xffffffff) break;
				return value;
			}
		}
		throw new Unmetered('the module has a number that is too long');
	}

	/** Passes over a LEB128 of at most `bytes` bytes. */
	skipLeb(bytes: number): void {
		for (let read = 0; read < bytes; read++) if (this.byte() < 0x80) return;
		throw new Unmetered('the module has a number that is too long');
	}

	skip(bytes: number): void {
		if (bytes > this.end - this.at) throw new Unmetered('the module ends too soon');
		this.at += bytes;
	}

	/** A part of its own, which this one passes over. */
	part(bytes: number): Reader {
		const start = this.at;
		this.skip(bytes);
		return new Reader(this.bytes, start, start + bytes);
	}

	name(): string {
		const part = this.part(this.u32());
		return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + part.at, part.end - part.at).toString('utf8');
	}
}

/** LEB128, unsigned. */
export function leb(value: number): Buffer {
	const bytes: number[] = [];
	let rest = value;
	do {
		const low = rest % 128;
		rest = Math.floor(rest / 128);
		bytes.push(rest > 0 ? low + 128 : low);
	} while (rest > 0);
	return Buffer.from(bytes);
}
