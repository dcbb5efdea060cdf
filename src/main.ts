import { runProgram } from './cli/program.ts';

// Loaded by `run` alone: the other commands need none of it.
await runProgram(process.argv, async () => (await import('./app.ts')).readyToStart(process.env));
