import type { Clock } from '../../model/ports.ts';
import { JWT_SPARE } from '../sources/jwt-svids.ts';
import type { JwtSvid } from '../sources/source.ts';
import type { Broken } from '../trust.ts';
import type { RenewedSource } from './renewed.ts';

/** Milliseconds. */
const SOON = 1_000;

/** Sallyport's own JWT-SVID for one audience. */
export const jwtSvidSource = (
	audience: string,
	jwtSvid: (audience: string) => Promise<JwtSvid | Broken>,
	clock: Clock,
): RenewedSource => {
	let last: string | undefined;
	return {
		kind: 'jwt_svid',
		from: audience,
		async fetch() {
			const svid = await jwtSvid(audience);
			if ('broken' in svid) return svid;
			const now = clock.now();
			// From half its life on asking for it starts the renewal; the new one is there a little later.
			const renew = svid.token === last ? now + SOON : now + (svid.expires - now) * 0.55;
			last = svid.token;
			return { text: svid.token, expires: svid.expires - JWT_SPARE, renew };
		},
	};
};
