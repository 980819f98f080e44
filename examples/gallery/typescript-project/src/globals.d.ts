// What k6 and squall have and @types/k6 leaves to the DOM library, most of which they do not have.
declare const console: Record<'debug' | 'log' | 'info' | 'warn' | 'error', (...values: unknown[]) => void>;
