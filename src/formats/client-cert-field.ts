/** The field by which a proxy says whose certificate it was shown, in Envoy's form. */
export const CLIENT_CERT_FIELD = 'x-forwarded-client-cert';

/**
 * One element of `x-forwarded-client-cert`: `key=value` pairs with `;` between them (Envoy, "HTTP header manipulation",
 * x-forwarded-client-cert). A value with `,`, `;`, `=` or `"` is quoted, and quotes in it are escaped.
 */
export const clientCertElement = (pairs: readonly (readonly [string, string])[]): string =>
	pairs.map(([key, value]) => `${key}=${quoted(value)}`).join(';');

const quoted = (value: string): string =>
	/[,;="\\]/.test(value) ? `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"` : value;
