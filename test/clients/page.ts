import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
	type Cell,
	CLIENTS,
	type Client,
	DATABASE_CLIENTS,
	DATABASE_WAYS,
	type DatabaseClient,
	type Way,
} from './matrix.ts';

/** docs/clients.md, made from the matrix: `node test/clients/page.ts` writes it, and a test compares. */

const PAGE = fileURLToPath(new URL('../../docs/clients.md', import.meta.url));

interface Table {
	readonly title: string;
	/** In the summary. */
	readonly short: string;
	readonly says: string;
	readonly columns: Readonly<Partial<Record<Way, string>>>;
}

const TABLES: readonly Table[] = [
	{
		title: 'The proxy, by mutual TLS',
		short: 'mTLS',
		says: '`authenticate: mtls`: the agent shows its X.509-SVID to the proxy. `http://` calls leave in the absolute form and each is decided; `https://` calls are tunnels (CONNECT), decided when they are opened.',
		columns: { mtls_http: '`http://`', mtls_connect: '`https://` (CONNECT)' },
	},
	{
		title: 'The proxy, with a token',
		short: 'token',
		says: '`authenticate: token`: the token is the password of the proxy, on loopback.',
		columns: { token_http: '`http://`', token_connect: '`https://` (CONNECT)' },
	},
	{
		title: 'The proxy, on a Unix socket',
		short: 'socket',
		says: '`authenticate: { as: … }`: whoever reaches the socket is the agent.',
		columns: { socket_http: '`http://`', socket_connect: '`https://` (CONNECT)' },
	},
	{
		title: 'A door',
		short: 'door',
		says: 'A listener that leads to one upstream: the program is given another address, and needs no proxy.',
		columns: { door_mtls: 'mutual TLS', door_token: 'token', door_socket: 'Unix socket' },
	},
	{
		title: 'Unmodified, under `sallyport exec`',
		short: '`exec`',
		says: '`sallyport exec --agent NAME -- PROGRAM` sets `HTTP_PROXY`, `HTTPS_PROXY` (both cases) with the token, `NODE_USE_ENV_PROXY`, and the variables of doors.',
		columns: { exec_http: '`http://`', exec_connect: '`https://` (CONNECT)' },
	},
];

const WORDS = { yes: 'yes', no: '**no**', none: '–' } as const;

const cellText = (cell: Cell): string =>
	cell.note === undefined ? WORDS[cell.can] : `${WORDS[cell.can]}: ${cell.note}`;

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
	return `${row(head)}|${'---|'.repeat(head.length)}\n${rows.map(row).join('')}`;
}

export function clientsPage(): string {
	const clients: readonly Client[] = Object.values(CLIENTS);
	const summary = table(
		[
			'',
			...TABLES.flatMap(({ short, columns }) =>
				Object.values(columns).map(column => `${short}, ${column.replace('`https://` (CONNECT)', 'CONNECT')}`),
			),
		],
		clients.map(({ name, cells }) => [
			name,
			...TABLES.flatMap(({ columns }) => (Object.keys(columns) as Way[]).map(way => WORDS[cells[way].can])),
		]),
	);
	const details = TABLES.map(({ title, says, columns }) => {
		const ways = Object.keys(columns) as Way[];
		const rows = clients.map(({ name, cells }) => [name, ...ways.map(way => cellText(cells[way]))]);
		return `## ${title}\n\n${says}\n\n${table(['', ...Object.values(columns)], rows)}`;
	});
	const databases: readonly DatabaseClient[] = Object.values(DATABASE_CLIENTS);
	return `# Clients

What HTTP and database clients can do through Sallyport. Every "yes" and "no" here is held against the real client by
\`test/clients/\`, and this page is made from what those tests expect (\`node test/clients/page.ts\`).

"–": the client has no setting for it. Versions: ${[...clients, ...databases].map(({ name, version }) => `${name} ${version}`).join('; ')}.
curl, Go, Python and psql come with the machine, and may be newer where the tests run.

${summary}
In short: where a client can show a certificate to a proxy, let it; else give it a token, most simply by \`sallyport exec\`; or give
it a door.

${details.join('\n')}
## Databases

A door to Postgres, by the connection URI that \`sallyport exec\` and \`sallyport doors\` give, unmodified. The password of
the database is Sallyport's; the agent's is its token, or none. libpq reads a private key only if nobody else can.

${table(
	['', 'mutual TLS', 'token', 'Unix socket'],
	databases.map(({ name, cells }) => [name, ...DATABASE_WAYS.map(way => cellText(cells[way]))]),
)}`;
}

if (import.meta.main) writeFileSync(PAGE, clientsPage());
