/**
 * The wire format of Protocol Buffers, version 3 (protobuf.dev, "Encoding"), for the few messages that are read without a
 * schema compiler: strict where encoders agree (shortest varints, no groups), open where the format wants it (fields that
 * are not known are left to the caller to skip).
 */

/** One field of a message, in the order in which they came. */
export interface ProtoField {
	readonly number: number;
	/** What a length-delimited field (wire type 2) holds; undefined for numbers. */
	readonly bytes: Buffer | undefined;
}

export interface BrokenProto {
	readonly broken: string;
}

/** Fields that one message may have. */
const MAX_FIELDS = 4096;
/** Greatest field number (29 bits). */
const MAX_NUMBER = 2 ** 29 - 1;

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** The fields of one message. What is inside length-delimited fields is not looked at. */
export function readProto(message: Buffer): ProtoField[] | BrokenProto {
	const fields: ProtoField[] = [];
	let at = 0;
	while (at < message.length) {
		if (fields.length === MAX_FIELDS) return { broken: `more than ${MAX_FIELDS} fields` };
		const tag = readVarint(message, at);
		if (tag === undefined) return { broken: 'a tag that is no varint' };
		at = tag.after;
		const number = Math.floor(tag.value / 8);
		if (number === 0 || number > MAX_NUMBER) return { broken: 'a field number out of range' };
		switch (tag.value % 8) {
			case VARINT: {
				const value = readVarint(message, at);
				if (value === undefined) return { broken: `field ${number}: no varint` };
				at = value.after;
				fields.push({ number, bytes: undefined });
				break;
			}
			case FIXED64:
			case FIXED32: {
				at += tag.value % 8 === FIXED64 ? 8 : 4;
				if (at > message.length) return { broken: `field ${number}: cut off` };
				fields.push({ number, bytes: undefined });
				break;
			}
			case LENGTH_DELIMITED: {
				const length = readVarint(message, at);
				if (length === undefined || length.value > message.length - length.after)
					return { broken: `field ${number}: cut off` };
				at = length.after + length.value;
				fields.push({ number, bytes: message.subarray(length.after, at) });
				break;
			}
			default:
				return { broken: `field ${number}: a wire type that is not taken` };
		}
	}
	return fields;
}

/**
 * A varint in its shortest form, in at most ten bytes. Beyond 2^53 the value is not exact, which no length and no tag is;
 * numbers themselves are only skipped.
 */
function readVarint(message: Buffer, start: number): { readonly value: number; readonly after: number } | undefined {
	let value = 0;
	for (let index = 0; index < 10; index++) {
		const byte = message[start + index];
		if (byte === undefined) return undefined;
		value += (byte & 0x7f) * 2 ** (7 * index);
		if (byte < 0x80) return byte === 0 && index > 0 ? undefined : { value, after: start + index + 1 };
	}
	return undefined;
}

/** A length-delimited field: a string, bytes, or a message that is encoded already. */
export function protoField(number: number, value: string | Uint8Array): Buffer {
	const bytes = Buffer.from(value);
	return Buffer.concat([varint(number * 8 + LENGTH_DELIMITED), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
	const bytes: number[] = [];
	for (let rest = value; ; rest = Math.floor(rest / 128)) {
		if (rest < 128) {
			bytes.push(rest);
			return Buffer.from(bytes);
		}
		bytes.push((rest % 128) + 128);
	}
}
