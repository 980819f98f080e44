import { WebSocket } from 'k6/websockets';
import { setTimeout, clearTimeout } from 'k6/timers';
import { env } from './env.ts';
import type { Side } from './protocol.ts';

const LONGEST_MS = 60000;

// One side's connection: In are the messages that may come, Out those that may be sent.
export abstract class Peer<In extends { type: string }, Out extends { type: string }> {
  private readonly socket: WebSocket;
  private readonly guard: number;

  constructor(side: Side, id: string) {
    this.socket = new WebSocket(`${env.url}/${side}?id=${id}`, null, { tags: { side } });
    this.guard = setTimeout(() => this.close(), LONGEST_MS);
    // @types/k6 says that `event` may be missing; it never is.
    this.socket.onopen = () => this.opened();
    this.socket.onmessage = (event) => this.received(JSON.parse(event!.data as string) as In);
    this.socket.onerror = (event) => console.error(`${side} ${id}: ${event!.error}`);
    this.socket.onclose = () => {
      clearTimeout(this.guard);
      this.closed();
    };
  }

  protected send(message: Out): void {
    this.socket.send(JSON.stringify(message));
  }

  protected close(): void {
    this.socket.close(1000);
  }

  protected abstract opened(): void;
  protected abstract received(message: In): void;
  protected abstract closed(): void;
}

// For a switch over all types of a message: a type that was forgotten does not compile.
export function never(message: never): never {
  throw new Error(`not a message of this protocol: ${JSON.stringify(message)}`);
}
