// SPDX-License-Identifier: Apache-2.0
// A ride dispatcher: riders at /rider ask for a car, drivers at /driver get offers and report their position.
'use strict';
const { parse, start, send, dispatch } = require('./lib.js');

const options = parse({});
const counts = { requests: 0, offers: 0, declined: 0, assigned: 0, positions: 0, finished: 0 };
const idle = []; // drivers without a ride
const waiting = []; // rides without a driver
const rides = new Map();

function match() {
  while (idle.length && waiting.length) {
    const driver = idle.shift();
    const ride = waiting.shift();
    counts.offers += 1;
    ride.driver = driver;
    send(driver.socket, { type: 'offer', ride: ride.id, from: ride.from, to: ride.to });
  }
}

const driverMessages = (driver) => ({
  available() {
    if (!idle.includes(driver)) idle.push(driver);
    match();
  },
  accept(message) {
    const ride = rides.get(message.ride);
    if (!ride || ride.driver !== driver || ride.assigned) return;
    ride.assigned = true;
    counts.assigned += 1;
    send(ride.rider, { type: 'assigned', ride: ride.id, driver: driver.id });
  },
  decline(message) {
    const ride = rides.get(message.ride);
    if (!ride || ride.driver !== driver || ride.assigned) return;
    ride.driver = null;
    counts.declined += 1;
    waiting.unshift(ride);
    match();
  },
  position(message) {
    const ride = rides.get(message.ride);
    if (!ride || ride.driver !== driver) return;
    counts.positions += 1;
    ride.positions += 1;
    send(ride.rider, { type: 'position', ride: ride.id, at: message.at, left: message.left });
  },
  arrived(message) {
    const ride = rides.get(message.ride);
    if (!ride || ride.driver !== driver || !ride.assigned) return;
    rides.delete(ride.id);
    counts.finished += 1;
    send(ride.rider, { type: 'finished', ride: ride.id, positions: ride.positions });
  },
  // Who has an offer on the way to him stays.
  leave() {
    if (!idle.includes(driver)) return;
    idle.splice(idle.indexOf(driver), 1);
    send(driver.socket, { type: 'bye' });
  },
});

const riderMessages = (rider) => ({
  request({ from, to }) {
    counts.requests += 1;
    const ride = { id: counts.requests, rider, from, to, driver: null, assigned: false, positions: 0 };
    rides.set(ride.id, ride);
    waiting.push(ride);
    match();
  },
});

start({
  options,
  counts,
  upgrade: (request, { path, query }) => (['/driver', '/rider'].includes(path) && query.id ? 0 : 404),
  connection(socket, { path, query }) {
    const driver = { id: query.id, socket };
    dispatch(socket, path === '/driver' ? driverMessages(driver) : riderMessages(socket));
    socket.on('close', () => {
      if (idle.includes(driver)) idle.splice(idle.indexOf(driver), 1);
    });
  },
});
