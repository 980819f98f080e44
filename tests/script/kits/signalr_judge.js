// SPDX-License-Identifier: Apache-2.0
// SignalR's own client against our stand-in, whose port is the argument: prints what it saw as one JSON line.
'use strict';
const { HubConnectionBuilder, HttpTransportType, LogLevel } = require('@microsoft/signalr');
const hub = new HubConnectionBuilder()
  .withUrl(`http://127.0.0.1:${process.argv[2]}/hub`, { skipNegotiation: true, transport: HttpTransportType.WebSockets, accessTokenFactory: () => 't' })
  .configureLogging(LogLevel.None)
  .build();
hub.keepAliveIntervalInMilliseconds = 100;
hub.serverTimeoutInMilliseconds = 300;
const seen = {};
(async () => {
  hub.on('message', (...args) => (seen.message = args));
  hub.on('Question', (a, b) => a * b);
  await hub.start();
  seen.echo = await hub.invoke('Echo', { a: [1] });
  seen.fail = await hub.invoke('Fail').catch((e) => e.message);
  seen.unknown = await hub.invoke('What').catch((e) => e.message);
  await hub.invoke('Broadcast', 'x', 1);
  await hub.send('AskBack');
  const items = [];
  await new Promise((complete, error) => hub.stream('Count', 3).subscribe({ next: (i) => items.push(i), complete, error }));
  seen.items = items;
  seen.broken = await new Promise((resolve) => hub.stream('Broken').subscribe({ next() {}, complete() {}, error: (e) => resolve(e.message) }));
  await new Promise((resolve) => setTimeout(resolve, 800));
  seen.state = hub.state;
  await hub.stop();
  console.log(JSON.stringify({ seen }));
})();
