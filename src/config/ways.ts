import * as z from 'zod';
import { duration, headerName, spiffeIdText, userId } from './values.ts';

/** One way to know an agent. */
const WAYS = [
	z.literal('mtls'),
	z.strictObject({
		token: z
			.strictObject({
				directory: z
					.string()
					.min(1)
					.describe('Where `NAME/token` is written, one folder per agent, to be mounted only there.'),
				agents: z.array(spiffeIdText).min(1).describe('The agents that get a token.'),
				rotate: duration
					.default(24 * 3600_000)
					.describe('How often tokens are renewed; the one before stays good for one more such time.'),
			})
			.describe("By a token of the agent's own, where a certificate cannot be shown."),
	}),
	z.strictObject({
		as: spiffeIdText.describe('The only agent that can reach this Unix socket, or whose connections are captured.'),
	}),
	z.strictObject({
		unix: z
			.strictObject({
				users: z
					.record(userId, spiffeIdText)
					.refine(users => Object.keys(users).length > 0, 'expected at least one user')
					.describe('Agents by the id of the user that their process runs as.'),
			})
			.describe('By the user on the other end of a Unix socket, as the kernel notes it.'),
	}),
	z.strictObject({
		jwt_svid: z
			.strictObject({
				audience: z
					.array(z.string().min(1).max(1024))
					.min(1)
					.describe('What Sallyport is to whoever fetches the JWT-SVIDs; one of these must be in `aud`.'),
				header: headerName
					.default('authorization')
					.describe('The field that holds it, as `Bearer JWT`, in a field of its own also bare; never forwarded.'),
			})
			.describe('By a JWT-SVID in a header, where something before Sallyport ended TLS.'),
	}),
] as const;

const way = z.union(WAYS);

/** How the agents of a listener are known: in one way, or in several. */
export const authenticate = z.union([...WAYS, z.array(way).min(1)]);

/** One way to know an agent, as it is configured. */
export type WayConfig = z.output<typeof way>;
export type Authenticate = z.output<typeof authenticate>;
