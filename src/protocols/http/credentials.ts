/** Basic (RFC 7617) or Bearer (RFC 6750) credentials. */
export function parseCredentials(text: string): { readonly username: string; readonly password: string } | undefined {
	const match = /^(basic|bearer) +([A-Za-z0-9+/=._~-]{1,1024})$/i.exec(text);
	if (match?.[2] === undefined) return undefined;
	if (match[1]?.toLowerCase() === 'bearer') return { username: '', password: match[2] };
	const pair = Buffer.from(match[2], 'base64').toString('utf8');
	const colon = pair.indexOf(':');
	return colon < 0 ? undefined : { username: pair.slice(0, colon), password: pair.slice(colon + 1) };
}
