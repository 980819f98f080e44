import { Counter, Trend } from 'k6/metrics';

export const wait = new Trend('ride_wait', true);
export const finished = new Counter('ride_finished');
export const unserved = new Counter('ride_unserved');
export const positions = new Counter('ride_positions');
export const positionsMissed = new Counter('ride_positions_missed');
export const offers = new Counter('ride_offers');
