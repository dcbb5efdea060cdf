/** A host as it stands in a URL or before a port: an IPv6 address in brackets (RFC 3986 §3.2.2). */
export const hostText = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** `db.internal:5432`, `10.0.0.1:80`, `[::1]:80`. */
export const hostPortText = (host: string, port: number): string => `${hostText(host)}:${port}`;

/** Whether a host, as it is written, is the machine itself. */
export const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\./.test(host);
