import { KEY_USAGE, OID } from '../formats/der-certificate.ts';
import {
	type Asn1,
	bitString,
	boolean,
	derOf,
	encoded,
	integer,
	objectId,
	sequence,
	tagged,
	taggedBytes,
} from './mint-asn1.ts';

/** The extensions that a certificate order is made of. Each can be left out, doubled or made wrong on purpose. */
export interface CertificateExtension {
	readonly oid: string;
	readonly critical: boolean;
	/** DER of what the extension's octet string wraps. */
	readonly value: Buffer;
}

export type KeyUsageName = keyof typeof KEY_USAGE;

export interface NameOrder {
	readonly kind: 'uri' | 'dns' | 'email' | 'ip';
	/** `ip`: four or sixteen bytes as hex (eight or thirty-two in a name constraint). */
	readonly value: string;
}

export function basicConstraints(ca: boolean, pathLength?: number, critical = true): CertificateExtension {
	const parts = [
		...(ca ? [boolean(true)] : []),
		...(pathLength === undefined ? [] : [integer(Buffer.from([pathLength]))]),
	];
	return { oid: OID.basicConstraints, critical, value: derOf(sequence(parts)) };
}

export function keyUsage(names: readonly KeyUsageName[], critical = true): CertificateExtension {
	const bits = names.map(name => KEY_USAGE[name]);
	const highest = Math.max(-1, ...bits);
	const bytes = Buffer.alloc(highest < 0 ? 0 : Math.floor(highest / 8) + 1);
	for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
	return { oid: OID.keyUsage, critical, value: derOf(bitString(bytes, highest < 0 ? 0 : 7 - (highest & 7))) };
}

export function extendedKeyUsage(purposes: readonly string[], critical = false): CertificateExtension {
	return { oid: OID.extendedKeyUsage, critical, value: derOf(sequence(purposes.map(objectId))) };
}

export function subjectAltName(names: readonly NameOrder[], critical = false): CertificateExtension {
	return { oid: OID.subjectAltName, critical, value: derOf(sequence(names.map(generalName))) };
}

export function nameConstraints(
	permitted: readonly NameOrder[],
	excluded: readonly NameOrder[] = [],
	critical = true,
): CertificateExtension {
	const subtrees = (tag: number, names: readonly NameOrder[]): Asn1[] =>
		names.length === 0
			? []
			: [
					tagged(
						tag,
						names.map(name => sequence([generalName(name)])),
					),
				];
	const value = derOf(sequence([...subtrees(0, permitted), ...subtrees(1, excluded)]));
	return { oid: OID.nameConstraints, critical, value };
}

/** An extension as it is given; `value` must be one DER element. */
export function otherExtension(oid: string, value: Buffer, critical: boolean): CertificateExtension {
	return { oid, critical, value: derOf(encoded(value)) };
}

const NAME_TAGS = { email: 1, dns: 2, uri: 6, ip: 7 } as const;

const generalName = ({ kind, value }: NameOrder): Asn1 =>
	taggedBytes(NAME_TAGS[kind], kind === 'ip' ? Buffer.from(value, 'hex') : Buffer.from(value, 'utf8'));
