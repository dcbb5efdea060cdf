// One query by pg; the variable that holds the URL is the first argument.
import pg from 'pg';

const client = new pg.Client({ connectionString: process.env[process.argv[2]], connectionTimeoutMillis: 10_000 });
client.on('error', () => {});
try {
	await client.connect();
	const { rows } = await client.query("select current_user || '@' || current_database() as row");
	console.log(JSON.stringify(rows[0]));
	await client.end();
} catch (error) {
	console.log(JSON.stringify({ error: error.message }));
	process.exit();
}
