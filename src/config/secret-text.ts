/** What may stand in a secret, wherever it comes from. */

/** Greatest secret, bytes. */
export const MAX_SECRET = 16 * 1024;

/** What a secret is used as, which says what may stand in it. */
export type SecretUse = 'header' | 'bearer' | 'basic_username' | 'basic_password' | 'login';

/** What is wrong with the text of a secret, without saying it; undefined when it can be used so. */
export function secretProblem(use: SecretUse, text: string): string | undefined {
	if (text === '') return 'is empty';
	if (Buffer.byteLength(text) > MAX_SECRET) return 'is longer than 16 KiB';
	switch (use) {
		case 'header':
			// RFC 9110 §5.5: visible characters, with spaces between them; obs-text goes out as latin1.
			return /^[\x21-\x7e\xa1-\xff]([\x20-\x7e\xa0-\xff]*[\x21-\x7e\xa1-\xff])?$/.test(text)
				? undefined
				: 'holds what no header field can: line breaks, other control characters, characters beyond latin1, or spaces at an end';
		case 'bearer':
			return /^[\x21-\x7e]+$/.test(text)
				? undefined
				: 'holds what no bearer token can: spaces, line breaks, or beyond ASCII';
		case 'basic_username':
			// RFC 7617 §2: what follows the first colon is the password.
			if (text.includes(':')) return 'holds a colon, which no user name of basic authentication can';
			return hasControl(text) ? 'holds control characters' : undefined;
		case 'basic_password':
			return hasControl(text) ? 'holds control characters' : undefined;
		case 'login':
			return text.includes('\0') ? 'holds a NUL' : undefined;
	}
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
const hasControl = (text: string): boolean => /[\x00-\x1f\x7f-\x9f]/.test(text);

/** Bytes as the text of a secret: UTF-8, without the last line break. Undefined when they are not UTF-8. */
export function secretText(bytes: Uint8Array): string | undefined {
	try {
		return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, '');
	} catch {
		return undefined;
	}
}
