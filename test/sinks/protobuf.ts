/** The fields of one message, by number (Protocol Buffers, "Encoding"). */
export interface Fields {
	has(number: number): boolean;
	/** The last one; empty when there is none. */
	bytes(number: number): Buffer;
	number(number: number): bigint;
	message(number: number): Fields;
	messages(number: number): Fields[];
}

export const text = (bytes: Buffer): string => bytes.toString('utf8');

export function fieldsOf(bytes: Buffer): Fields {
	const found = new Map<number, (Buffer | bigint)[]>();
	let at = 0;
	const varint = (): bigint => {
		let value = 0n;
		for (let shift = 0n; ; shift += 7n) {
			const byte = bytes[at++];
			if (byte === undefined || shift > 63n) throw new Error('a varint that does not end');
			value |= BigInt(byte & 0x7f) << shift;
			if (byte < 0x80) return value;
		}
	};
	const take = (length: number): Buffer => {
		if (at + length > bytes.length) throw new Error('a field that is longer than its message');
		at += length;
		return bytes.subarray(at - length, at);
	};
	while (at < bytes.length) {
		const tag = Number(varint());
		const values = found.get(tag >> 3) ?? [];
		found.set(tag >> 3, values);
		switch (tag & 7) {
			case 0:
				values.push(varint());
				break;
			case 1:
				values.push(take(8).readBigUInt64LE());
				break;
			case 2:
				values.push(take(Number(varint())));
				break;
			case 5:
				values.push(BigInt(take(4).readUInt32LE()));
				break;
			default:
				throw new Error(`no wire type ${tag & 7}`);
		}
	}
	const buffers = (number: number): Buffer[] => (found.get(number) ?? []).filter(value => Buffer.isBuffer(value));
	return {
		has: number => found.has(number),
		bytes: number => buffers(number).at(-1) ?? Buffer.alloc(0),
		number(number) {
			const value = found.get(number)?.at(-1);
			return typeof value === 'bigint' ? value : 0n;
		},
		message: number => fieldsOf(buffers(number).at(-1) ?? Buffer.alloc(0)),
		messages: number => buffers(number).map(fieldsOf),
	};
}
