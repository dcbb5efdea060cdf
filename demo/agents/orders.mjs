// An ordinary database program: `sallyport exec --agent NAME --doors-only -- node orders.mjs [SQL]` gives it DATABASE_URL.
import pg from 'pg';

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
client.on('error', () => {});
try {
	await client.connect();
	const { rows } = await client.query(process.argv[2] ?? 'select count(*)::int as orders from orders');
	console.log(JSON.stringify({ rows }));
	await client.end();
} catch (error) {
	const { severity, code, message, hint } = error;
	console.log(JSON.stringify({ error: message, code, severity, hint }));
}
