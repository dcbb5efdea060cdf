import asn1 from 'node-forge/lib/asn1.js';

/** What minting needs of node-forge's ASN.1 layer, with Buffers in the place of its binary strings. */

export type Asn1 = ReturnType<typeof asn1.create>;

const { Class, Type } = asn1;

const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

export const derOf = (element: Asn1): Buffer => Buffer.from(asn1.toDer(element).getBytes(), 'latin1');

const primitive = (type: number, bytes: Uint8Array): Asn1 => asn1.create(Class.UNIVERSAL, type, false, binary(bytes));

export const sequence = (items: readonly Asn1[]): Asn1 => asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, [...items]);
export const set = (items: readonly Asn1[]): Asn1 => asn1.create(Class.UNIVERSAL, Type.SET, true, [...items]);
export const octetString = (bytes: Uint8Array): Asn1 => primitive(Type.OCTETSTRING, bytes);
export const bitString = (bytes: Uint8Array, unused = 0): Asn1 =>
	primitive(Type.BITSTRING, Buffer.concat([Buffer.from([unused]), bytes]));
/** Takes the contents octets. */
export const integer = (bytes: Uint8Array): Asn1 => primitive(Type.INTEGER, bytes);
export const boolean = (value: boolean): Asn1 => primitive(Type.BOOLEAN, Buffer.from([value ? 0xff : 0x00]));
export const nothing = (): Asn1 => primitive(Type.NULL, Buffer.alloc(0));
export const utf8 = (text: string): Asn1 => primitive(Type.UTF8, Buffer.from(text));
export const objectId = (id: string): Asn1 =>
	asn1.create(Class.UNIVERSAL, Type.OID, false, asn1.oidToDer(id).getBytes());

/** An element that is encoded already. */
export const encoded = (der: Buffer): Asn1 => asn1.fromDer(binary(der));

/** `[tag] EXPLICIT`, or a constructed `[tag] IMPLICIT` of several. */
export const tagged = (tag: number, items: readonly Asn1[]): Asn1 =>
	asn1.create(Class.CONTEXT_SPECIFIC, tag, true, [...items]);
/** A primitive `[tag] IMPLICIT`. */
export const taggedBytes = (tag: number, bytes: Uint8Array): Asn1 =>
	asn1.create(Class.CONTEXT_SPECIFIC, tag, false, binary(bytes));

/** UTCTime until 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
export function instant(milliseconds: number): Asn1 {
	const date = new Date(milliseconds);
	return date.getUTCFullYear() < 2050
		? asn1.create(Class.UNIVERSAL, Type.UTCTIME, false, asn1.dateToUtcTime(date))
		: asn1.create(Class.UNIVERSAL, Type.GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date));
}
