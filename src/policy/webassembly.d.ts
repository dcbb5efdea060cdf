/**
 * The part of the WebAssembly JavaScript Interface (W3C, §5) that the engine uses. TypeScript has it only in its
 * library of the browser's world, which has no place here.
 */
declare namespace WebAssembly {
	type ImportValue = Memory | ((...args: readonly number[]) => number | undefined);

	class Module {
		constructor(bytes: Uint8Array);
		static exports(module: Module): { readonly name: string; readonly kind: string }[];
	}

	class Instance {
		constructor(module: Module, imports: Readonly<Record<string, Readonly<Record<string, ImportValue>>>>);
		readonly exports: Readonly<Record<string, unknown>>;
	}

	class Memory {
		constructor(descriptor: { readonly initial: number; readonly maximum?: number });
		readonly buffer: ArrayBuffer;
		grow(pages: number): number;
	}

	class Global {
		value: number;
	}

	class RuntimeError extends Error {}
	class CompileError extends Error {}

	function compile(bytes: Uint8Array): Promise<Module>;
}
