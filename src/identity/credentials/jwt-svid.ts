import type { Clock } from '../../model/ports.ts';
import { JWT_SPARE } from '../sources/jwt-svids.ts';
import type { JwtSvid } from '../sources/source.ts';
import type { Broken } from '../trust.ts';
import type { RenewedSource } from './renewed.ts';

/** Sallyport's own JWT-SVID for one audience. */
export const jwtSvidSource = (
	audience: string,
	jwtSvid: (audience: string) => Promise<JwtSvid | Broken>,
	clock: Clock,
): RenewedSource => ({
	kind: 'jwt_svid',
	from: audience,
	async fetch() {
		const svid = await jwtSvid(audience);
		if ('broken' in svid) return svid;
		const now = clock.now();
		const expires = svid.expires - JWT_SPARE;
		return { text: svid.token, expires, renew: now + (expires - now) / 2 };
	},
});
