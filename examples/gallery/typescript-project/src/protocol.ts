// What goes over the wire. Each message has its name in `type`, which tells TypeScript what else is in it.

export type RideId = number;
export interface Place {
  readonly street: string;
  readonly number: number;
}

export type ToRider =
  | { type: 'assigned'; ride: RideId; driver: string }
  | { type: 'position'; ride: RideId; at: number; left: number }
  | { type: 'finished'; ride: RideId; positions: number };
export type FromRider = { type: 'request'; from: Place; to: Place };

export type ToDriver = { type: 'offer'; ride: RideId; from: Place; to: Place } | { type: 'bye' };
export type FromDriver =
  | { type: 'available' | 'leave' }
  | { type: 'accept' | 'decline' | 'arrived'; ride: RideId }
  | { type: 'position'; ride: RideId; at: number; left: number };

export enum Side {
  Rider = 'rider',
  Driver = 'driver',
}
