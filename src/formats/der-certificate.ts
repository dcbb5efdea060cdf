import {
	ascii,
	type BrokenDer,
	boolean,
	breaks,
	type Cursor,
	type DerElement,
	inside,
	integerBytes,
	namedBits,
	objectIdentifier,
	readDer,
	smallInteger,
	TAG,
	time,
	unwrap,
} from './der.ts';

/** Bits of the key usage extension (RFC 5280 §4.2.1.3). */
export const KEY_USAGE = {
	digitalSignature: 0,
	nonRepudiation: 1,
	keyEncipherment: 2,
	dataEncipherment: 3,
	keyAgreement: 4,
	keyCertSign: 5,
	cRLSign: 6,
	encipherOnly: 7,
	decipherOnly: 8,
} as const;

export const OID = {
	subjectKeyIdentifier: '2.5.29.14',
	keyUsage: '2.5.29.15',
	subjectAltName: '2.5.29.17',
	basicConstraints: '2.5.29.19',
	nameConstraints: '2.5.29.30',
	certificatePolicies: '2.5.29.32',
	authorityKeyIdentifier: '2.5.29.35',
	extendedKeyUsage: '2.5.29.37',
	anyExtendedKeyUsage: '2.5.29.37.0',
	serverAuth: '1.3.6.1.5.5.7.3.1',
	clientAuth: '1.3.6.1.5.5.7.3.2',
	rsaPss: '1.2.840.113549.1.1.10',
} as const;

/** A GeneralName (RFC 5280 §4.2.1.6). Kinds that hold no text are there by their kind alone. */
export interface GeneralName {
	readonly kind: 'other' | 'email' | 'dns' | 'x400' | 'directory' | 'edi' | 'uri' | 'ip' | 'registered';
	/** Text of `email`, `dns` and `uri`; lower-case hex of `ip`; empty for the rest. */
	readonly value: string;
}

export interface Extension {
	readonly oid: string;
	readonly critical: boolean;
}

/** What an X.509 certificate says, before anyone believes it (RFC 5280 §4.1). */
export interface CertificateFacts {
	/** 1, 2 or 3. */
	readonly version: number;
	/** Upper-case hex of the contents octets, two digits a byte, without a leading zero byte. */
	readonly serial: string;
	/** The names as they are encoded, for comparison. */
	readonly issuer: Buffer;
	readonly subject: Buffer;
	readonly subjectEmpty: boolean;
	/** Milliseconds since the epoch. */
	readonly notBefore: number;
	readonly notAfter: number;
	readonly signatureAlgorithm: string;
	/** The hash of RSASSA-PSS, which its identifier does not tell (RFC 4055 §3.1). */
	readonly pssHash?: string;
	readonly extensions: readonly Extension[];
	readonly basicConstraints?: { readonly ca: boolean; readonly pathLength?: number };
	/** Numbers of the bits that are set. */
	readonly keyUsage?: ReadonlySet<number>;
	readonly extendedKeyUsage?: readonly string[];
	/** Every subject alternative name, in order. */
	readonly names: readonly GeneralName[];
	readonly nameConstraints?: { readonly permitted: readonly GeneralName[]; readonly excluded: readonly GeneralName[] };
	/** Lower-case hex. */
	readonly subjectKeyId?: string;
	readonly authorityKeyId?: string;
}

const MAX_NAMES = 256;
const MAX_EXTENSIONS = 64;

/** Whether the certificate has the extension, and whoever does not know it must refuse. */
export const isCritical = ({ extensions }: CertificateFacts, oid: string): boolean =>
	extensions.some(extension => extension.oid === oid && extension.critical);

/** Reads one certificate, signature not checked. `broken` names the part and what is wrong with it. */
export function readCertificate(der: Buffer): CertificateFacts | BrokenDer {
	return readDer(der, TAG.sequence, certificate);
}

function certificate(element: DerElement): CertificateFacts {
	const outer = inside(element);
	const tbs = inside(outer.take(TAG.sequence, 'tbsCertificate'));
	const outerAlgorithm = outer.take(TAG.sequence, 'signatureAlgorithm');
	outer.take(TAG.bitString, 'signature');
	outer.end('certificate');

	const version = tbs.maybe(0xa0, 'version');
	const versionNumber =
		version === undefined ? 1 : smallInteger(unwrap(version, TAG.integer, 'version'), 'version') + 1;
	if (versionNumber > 3) breaks('version: unknown');
	const serial = integerBytes(tbs.take(TAG.integer, 'serialNumber'), 'serialNumber');
	if (serial.length > 32) breaks('serialNumber: longer than 32 bytes');
	// RFC 5280 §4.1.2.2. A negative one could be written like another that is not.
	if ((serial[0] ?? 0) >= 0x80) breaks('serialNumber: negative');
	const algorithm = tbs.take(TAG.sequence, 'signature algorithm');
	if (!algorithm.whole.equals(outerAlgorithm.whole)) breaks('signature algorithm: stated twice, differently');
	const issuer = tbs.take(TAG.sequence, 'issuer');
	const validity = inside(tbs.take(TAG.sequence, 'validity'));
	const notBefore = time(validity.any('notBefore'), 'notBefore');
	const notAfter = time(validity.any('notAfter'), 'notAfter');
	validity.end('validity');
	const subject = tbs.take(TAG.sequence, 'subject');
	tbs.take(TAG.sequence, 'subjectPublicKeyInfo');
	tbs.maybe(0x81, 'issuerUniqueID');
	tbs.maybe(0x82, 'subjectUniqueID');
	const wrapped = tbs.maybe(0xa3, 'extensions');
	tbs.end('tbsCertificate');
	if (wrapped !== undefined && versionNumber !== 3) breaks('extensions: in a certificate that is not version 3');

	return {
		version: versionNumber,
		serial: (serial.length > 1 && serial[0] === 0 ? serial.subarray(1) : serial).toString('hex').toUpperCase(),
		issuer: issuer.whole,
		subject: subject.whole,
		subjectEmpty: subject.contents.length === 0,
		notBefore,
		notAfter,
		...signatureFacts(algorithm),
		names: [],
		...(wrapped === undefined ? { extensions: [] } : extensions(unwrap(wrapped, TAG.sequence, 'extensions'))),
	};
}

/** SHA-1 is what RSASSA-PSS means by saying nothing (RFC 4055 §3.1). */
const SHA1 = '1.3.14.3.2.26';

function signatureFacts(algorithm: DerElement): Pick<CertificateFacts, 'signatureAlgorithm' | 'pssHash'> {
	const parts = inside(algorithm);
	const signatureAlgorithm = objectIdentifier(parts.take(TAG.oid, 'signature algorithm'), 'signature algorithm');
	if (signatureAlgorithm !== OID.rsaPss) return { signatureAlgorithm };
	const parameters = inside(parts.take(TAG.sequence, 'signature algorithm'));
	const hash = parameters.maybe(0xa0, 'signature algorithm');
	if (hash === undefined) return { signatureAlgorithm, pssHash: SHA1 };
	const named = inside(unwrap(hash, TAG.sequence, 'signature algorithm')).take(TAG.oid, 'signature algorithm');
	return { signatureAlgorithm, pssHash: objectIdentifier(named, 'signature algorithm') };
}

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] };
type ExtensionFacts = Writable<Pick<CertificateFacts, 'extensions'>> & Partial<Writable<CertificateFacts>>;

function extensions(list: DerElement): ExtensionFacts {
	const found: Extension[] = [];
	const facts: ExtensionFacts = { extensions: found };
	for (const cursor = inside(list); !cursor.done; ) {
		const parts = inside(cursor.take(TAG.sequence, 'extension'));
		const oid = objectIdentifier(parts.take(TAG.oid, 'extension'), 'extension');
		const critical = parts.maybe(TAG.boolean, 'critical');
		const value = parts.take(TAG.octetString, `extension ${oid}`);
		parts.end(`extension ${oid}`);
		if (found.some(other => other.oid === oid)) breaks(`extension ${oid}: there twice`);
		if (found.length === MAX_EXTENSIONS) breaks(`extensions: more than ${MAX_EXTENSIONS}`);
		found.push({ oid, critical: critical !== undefined && boolean(critical, 'critical') });
		readExtension(oid, value, facts);
	}
	return facts;
}

function readExtension(oid: string, value: DerElement, facts: ExtensionFacts): void {
	switch (oid) {
		case OID.basicConstraints: {
			const parts = inside(unwrap(value, TAG.sequence, 'basicConstraints'));
			const flag = parts.maybe(TAG.boolean, 'cA');
			const length = parts.maybe(TAG.integer, 'pathLenConstraint');
			parts.end('basicConstraints');
			const ca = flag !== undefined && boolean(flag, 'cA');
			facts.basicConstraints =
				length === undefined ? { ca } : { ca, pathLength: smallInteger(length, 'pathLenConstraint') };
			break;
		}
		case OID.keyUsage:
			facts.keyUsage = namedBits(unwrap(value, TAG.bitString, 'keyUsage'), 'keyUsage');
			break;
		case OID.extendedKeyUsage: {
			const purposes: string[] = [];
			for (const parts = inside(unwrap(value, TAG.sequence, 'extKeyUsage')); !parts.done; ) {
				if (purposes.length === MAX_NAMES) breaks(`extKeyUsage: more than ${MAX_NAMES} purposes`);
				purposes.push(objectIdentifier(parts.take(TAG.oid, 'extKeyUsage'), 'extKeyUsage'));
			}
			if (purposes.length === 0) breaks('extKeyUsage: empty');
			facts.extendedKeyUsage = purposes;
			break;
		}
		case OID.subjectAltName: {
			const names = generalNames(inside(unwrap(value, TAG.sequence, 'subjectAltName')), 'subjectAltName');
			if (names.length === 0) breaks('subjectAltName: empty');
			facts.names = names;
			break;
		}
		case OID.nameConstraints: {
			const parts = inside(unwrap(value, TAG.sequence, 'nameConstraints'));
			const permitted = parts.maybe(0xa0, 'permittedSubtrees');
			const excluded = parts.maybe(0xa1, 'excludedSubtrees');
			parts.end('nameConstraints');
			if (permitted === undefined && excluded === undefined) breaks('nameConstraints: empty');
			facts.nameConstraints = { permitted: subtrees(permitted), excluded: subtrees(excluded) };
			break;
		}
		case OID.subjectKeyIdentifier:
			facts.subjectKeyId = unwrap(value, TAG.octetString, 'subjectKeyIdentifier').contents.toString('hex');
			break;
		case OID.authorityKeyIdentifier: {
			const keyId = inside(unwrap(value, TAG.sequence, 'authorityKeyIdentifier')).maybe(0x80, 'keyIdentifier');
			if (keyId !== undefined) facts.authorityKeyId = keyId.contents.toString('hex');
			break;
		}
	}
}

function subtrees(list: DerElement | undefined): GeneralName[] {
	const names: GeneralName[] = [];
	if (list === undefined) return names;
	const cursor = inside(list);
	if (cursor.done) breaks('nameConstraints: an empty list of subtrees');
	while (!cursor.done) {
		if (names.length === MAX_NAMES) breaks(`nameConstraints: more than ${MAX_NAMES} subtrees`);
		const parts = inside(cursor.take(TAG.sequence, 'subtree'));
		names.push(generalName(parts.any('subtree'), 'subtree'));
		// RFC 5280 §4.2.1.10: minimum is zero (so, left out) and maximum absent.
		parts.end('subtree');
	}
	return names;
}

function generalNames(cursor: Cursor, name: string): GeneralName[] {
	const names: GeneralName[] = [];
	while (!cursor.done) {
		if (names.length === MAX_NAMES) breaks(`${name}: more than ${MAX_NAMES} names`);
		names.push(generalName(cursor.any(name), name));
	}
	return names;
}

function generalName(element: DerElement, name: string): GeneralName {
	switch (element.tag) {
		case 0xa0:
			return { kind: 'other', value: '' };
		case 0x81:
			return { kind: 'email', value: ascii(element.contents, name) };
		case 0x82:
			return { kind: 'dns', value: ascii(element.contents, name) };
		case 0xa3:
			return { kind: 'x400', value: '' };
		case 0xa4:
			return { kind: 'directory', value: '' };
		case 0xa5:
			return { kind: 'edi', value: '' };
		case 0x86:
			return { kind: 'uri', value: ascii(element.contents, name) };
		case 0x87:
			return { kind: 'ip', value: element.contents.toString('hex') };
		case 0x88:
			return { kind: 'registered', value: '' };
		default:
			return breaks(`${name}: a name of no known kind`);
	}
}
