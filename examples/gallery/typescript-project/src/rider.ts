import { check } from 'k6';
import { finished, positions, positionsMissed, unserved, wait } from './metrics.ts';
import { never, Peer } from './peer.ts';
import { Side, type FromRider, type Place, type ToRider } from './protocol.ts';

const STREETS = ['Elm Street', 'Main Street', 'Market Square'] as const;

const somewhere = (): Place => ({
  street: STREETS[Math.floor(Math.random() * STREETS.length)]!,
  number: 1 + Math.floor(Math.random() * 99),
});

class Rider extends Peer<ToRider, FromRider> {
  private readonly asked = Date.now();
  private seen = 0;
  private arrived = false;

  protected opened(): void {
    this.send({ type: 'request', from: somewhere(), to: somewhere() });
  }

  protected received(message: ToRider): void {
    switch (message.type) {
      case 'assigned':
        wait.add(Date.now() - this.asked);
        break;
      case 'position':
        this.seen += 1;
        positions.add(1);
        break;
      case 'finished':
        this.arrived = true;
        finished.add(1);
        positionsMissed.add(message.positions - this.seen);
        this.close();
        break;
      default:
        never(message);
    }
  }

  protected closed(): void {
    unserved.add(this.arrived ? 0 : 1);
    check(this.arrived, { 'the rider arrived': (arrived) => arrived });
  }
}

export function ride(): void {
  new Rider(Side.Rider, `rider-${__VU}-${__ITER}`);
}
