// SPDX-License-Identifier: Apache-2.0
// A shop's account service: POST /login gives a session, WebSockets need one, nobody may be logged in twice.
'use strict';
const crypto = require('crypto');
const { parse, every, start, body, answer, send, dispatch } = require('./lib.js');

const options = parse({ 'forget-every': 0 }); // the session of each n-th login is lost, as by a cache that evicts
const counts = { logins: 0, refusedLogins: 0, duplicateLogins: 0, distinctUsers: 0, byCookie: 0, byToken: 0,
                 refusedUpgrades: 0, forgotten: 0, logouts: 0, orders: 0 };
const sessions = new Map(); // token to user
const forgets = every(options['forget-every']);
const everybody = new Set();
const password = (user) => `secret-${user}`;

function tokenOf(request) {
  const cookie = /(?:^|;\s*)session=([0-9a-f]+)/.exec(request.headers.cookie || '');
  const bearer = /^Bearer ([0-9a-f]+)$/.exec(request.headers.authorization || '');
  return { cookie: cookie && cookie[1], bearer: bearer && bearer[1] };
}

function login(given, response) {
  if (given.password !== password(given.user)) {
    counts.refusedLogins += 1;
    return answer(response, 401, { error: 'wrong user or password' });
  }
  if ([...sessions.values()].includes(given.user)) {
    counts.duplicateLogins += 1;
    return answer(response, 409, { error: `${given.user} is logged in already` });
  }
  const token = crypto.randomBytes(16).toString('hex');
  counts.logins += 1;
  everybody.add(given.user);
  counts.distinctUsers = everybody.size;
  if (forgets()) counts.forgotten += 1;
  else sessions.set(token, given.user);
  answer(response, 200, { token, user: given.user }, { 'Set-Cookie': `session=${token}; Path=/; HttpOnly` });
}

start({
  options,
  counts,
  async route(request, response, { path }) {
    if (request.method !== 'POST') return false;
    const { cookie, bearer } = tokenOf(request);
    if (path === '/login') return login(JSON.parse(await body(request)), response);
    if (path === '/logout') counts.logouts += sessions.delete(cookie || bearer);
    else if (path === '/reset') sessions.clear(); // a clean start for a test
    else return false;
    answer(response, 200, {});
  },
  upgrade(request) {
    const { cookie, bearer } = tokenOf(request);
    if (sessions.has(bearer)) counts.byToken += 1;
    else if (sessions.has(cookie)) counts.byCookie += 1;
    else {
      counts.refusedUpgrades += 1;
      return 401;
    }
  },
  connection(socket, where, request) {
    const { cookie, bearer } = tokenOf(request);
    const user = sessions.get(bearer) || sessions.get(cookie);
    send(socket, { type: 'welcome', user });
    dispatch(socket, {
      order(message) {
        counts.orders += 1;
        send(socket, { type: 'ordered', item: message.item, number: counts.orders });
      },
    });
  },
});
