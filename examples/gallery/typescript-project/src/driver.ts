import { check } from 'k6';
import { clearTimeout, setTimeout } from 'k6/timers';
import { env } from './env.ts';
import { offers } from './metrics.ts';
import { never, Peer } from './peer.ts';
import { Side, type FromDriver, type RideId, type ToDriver } from './protocol.ts';

class Driver extends Peer<ToDriver, FromDriver> {
  private idle = 0;
  private saidBye = false;

  protected opened(): void {
    this.waitForOffer();
  }

  private waitForOffer(): void {
    this.send({ type: 'available' });
    this.idle = setTimeout(() => this.send({ type: 'leave' }), env.idleMs);
  }

  private go(ride: RideId, left: number): void {
    if (left === 0) {
      this.send({ type: 'arrived', ride });
      this.waitForOffer();
      return;
    }
    this.send({ type: 'position', ride, at: Date.now(), left });
    setTimeout(() => this.go(ride, left - 1), env.stepMs);
  }

  protected received(message: ToDriver): void {
    switch (message.type) {
      case 'offer': {
        const declined = Math.random() < env.decline;
        clearTimeout(this.idle);
        offers.add(1, { answer: declined ? 'declined' : 'accepted' });
        this.send({ type: declined ? 'decline' : 'accept', ride: message.ride });
        if (declined) this.waitForOffer();
        else this.go(message.ride, env.steps);
        break;
      }
      case 'bye':
        this.saidBye = true;
        this.close();
        break;
      default:
        never(message);
    }
  }

  protected closed(): void {
    clearTimeout(this.idle);
    check(this.saidBye, { 'the driver went home': (bye) => bye });
  }
}

export function drive(): void {
  new Driver(Side.Driver, `driver-${__VU}`);
}
