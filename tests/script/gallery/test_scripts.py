# SPDX-License-Identifier: Apache-2.0
"""Every script of the gallery runs as its header says; a fault of the server is found, to the message."""
import os
import re
import subprocess

from case import check, equal, read
from gallery import ROOT, SCRIPTS, SERVE, Server, packages, run, run_clean


def test_login_then_socket(t):
    server = Server(t, 'login')
    got = run_clean(t, server, 'login-then-socket.js', VUS=4, ITERATIONS=2, ORDERS=3)
    counts = server.counts()
    equal((counts['logins'], counts['byCookie'], counts['byToken'], counts['logouts']), (8, 4, 4, 8))
    equal((counts['refusedUpgrades'], counts['accepted']), (0, 8))
    equal((got.count('session_accepted'), got.count('orders_confirmed')), (8, counts['orders']))
    equal(counts['orders'], 24)
    equal([got.samples('login_to_ready', client=c) for c in ('browser', 'app')], [4, 4])


def test_login_then_socket_that_is_refused(t):
    """Sessions that the server has lost are refused: counted by both, and the run fails."""
    server = Server(t, 'login', forget_every=4)
    got = run(t, server, 'login-then-socket.js', VUS=4, ITERATIONS=2, ORDERS=3, failing=['session_accepted'])
    counts = server.counts()
    equal((counts['forgotten'], counts['refusedUpgrades'], counts['accepted']), (2, 2, 6))
    equal((got.samples('session_accepted'), got.count('session_accepted')), (8, 6))
    equal(got.samples('ws_sessions', status='401'), 2)
    wrong = run(t, server, 'login-then-socket.js', VUS=1, ITERATIONS=2, PASSWORD_PREFIX='guess-',
                failing=['checks', 'http_req_failed{name:login}'])
    equal((server.counts()['refusedLogins'], wrong.samples('ws_sessions')), (2, 0))


def test_chat_rooms(t):
    server = Server(t, 'chat')
    got = run_clean(t, server, 'chat-rooms.js', USERS=9, SAYS=6, PAUSE_MS=40)
    counts = server.counts()
    equal((got.count('chat_said'), counts['said']), (54, 54))
    equal(got.count('chat_heard'), counts['delivered'])
    equal((got.count('chat_lost'), counts['dropped']), (0, 0))
    equal(got.count('chat_delivered'), got.samples('chat_delivered'))
    equal(got.samples('chat_delivery'), counts['delivered'])


def test_chat_rooms_with_losses(t):
    """What the server dropped is what is missing, in the room where it was dropped."""
    server = Server(t, 'chat', drop_every=7)
    rooms = ['lobby', 'games', 'help']
    got = run(t, server, 'chat-rooms.js', USERS=9, SAYS=6, PAUSE_MS=40,
              failing=['chat_lost{room:%s}' % room for room in rooms])
    counts = server.counts()
    check(counts['dropped'] > 5, 'the server dropped only %d', counts['dropped'])
    equal(got.count('chat_lost'), counts['dropped'])
    equal({room: got.count('chat_lost', room=room) for room in rooms}, counts['droppedIn'])
    equal(got.count('chat_heard'), counts['delivered'])
    equal(got.samples('chat_delivered') - got.count('chat_delivered'), counts['dropped'])

    server = Server(t, 'chat', drop_every=5, drop_room='games')
    got = run(t, server, 'chat-rooms.js', USERS=9, SAYS=4, PAUSE_MS=40, failing=['chat_lost{room:games}'])
    counts = server.counts()
    check(counts['dropped'] > 2, 'the server dropped only %d', counts['dropped'])
    equal((got.count('chat_lost', room='games'), got.count('chat_lost')), (counts['dropped'], counts['dropped']))


def test_trading_feed(t):
    server = Server(t, 'feed')
    got = run_clean(t, server, 'trading-feed.js', VUS=4, HOLD_MS=700)
    counts = server.counts()
    equal((counts['subscribes'], counts['unsubscribes'], counts['snapshots']), (12, 12, 12))
    equal((got.count('feed_changes'), got.count('feed_missing')), (counts['changes'], 0))
    equal(got.count('feed_book_right'), counts['changes'] + counts['snapshots'])


def test_trading_feed_with_gaps(t):
    """Changes that never came are counted, and the book is right again after each snapshot."""
    server = Server(t, 'feed', gap_every=10)
    symbols = ['ACME', 'BOLT', 'CORN', 'DUNE']
    got = run(t, server, 'trading-feed.js', VUS=4, HOLD_MS=700,
              failing=['feed_missing{symbol:%s}' % symbol for symbol in symbols])
    counts = server.counts()
    check(counts['gaps'] > 5, 'the server left out only %d', counts['gaps'])
    equal((got.count('feed_missing'), got.count('feed_changes')), (counts['gaps'], counts['changes']))
    equal(got.samples('feed_resync_time') > 0, True)
    equal(got.samples('feed_book_right'), got.count('feed_book_right'), 'books that agree')


def test_game_tick(t):
    server = Server(t, 'game')
    got = run_clean(t, server, 'game-tick.js', PLAYERS=6, MATCH_S=1.5)
    counts = server.counts()
    equal((got.count('game_ticks'), got.count('game_ticks_missed')), (counts['states'], 0))
    equal((got.count('game_inputs'), got.samples('game_input_delay')), (counts['inputs'], counts['inputs']))
    check(counts['inputs'] > 6, 'only %d inputs', counts['inputs'])
    equal((counts['rejected'], counts['skipped']), (0, 0))


def test_game_tick_with_stutter(t):
    server = Server(t, 'game', skip_every=9)
    got = run(t, server, 'game-tick.js', PLAYERS=4, MATCH_S=1.5, failing=['game_ticks_missed'])
    counts = server.counts()
    check(counts['skipped'] >= 4, 'the server skipped only %d', counts['skipped'])
    equal((got.count('game_ticks'), got.count('game_ticks_missed')), (counts['states'], counts['skipped']))
    equal(got.count('game_corrections'), 0)


def test_iot_fleet_mqtt(t):
    server = Server(t, 'mqtt')
    got = run_clean(t, server, 'iot-fleet-mqtt.js', DEVICES=6, READINGS=8, PAUSE_MS=40)
    counts = server.end()
    equal((counts['clients'], counts['readings'], counts['commands'], counts['acknowledgements']), (7, 48, 6, 6))
    equal((got.count('iot_readings'), got.count('iot_readings_lost')), (48, 0))
    equal((got.samples('iot_command_time'), counts['wills'], got.count('iot_devices_lost')), (6, 0, 0))


def test_iot_fleet_mqtt_with_losses(t):
    """Devices that break off are those whose will the broker has published."""
    server = Server(t, 'mqtt')
    got = run(t, server, 'iot-fleet-mqtt.js', DEVICES=5, READINGS=6, PAUSE_MS=40, VANISH=2,
              failing=['iot_devices_lost'])
    counts = server.end()
    equal((counts['wills'], got.count('iot_devices_lost')), (2, 2))
    equal((counts['readings'], got.count('iot_readings'), got.count('iot_readings_lost')), (3 * 6 + 2 * 4, 26, 0))


def test_notification_fanout(t):
    server = Server(t, 'notify')
    got = run_clean(t, server, 'notification-fanout.js', SUBSCRIBERS=8, RATE=20, DURATION_S=1)
    counts = server.counts()
    equal(got.samples('iterations', scenario='publisher'), counts['published'])
    equal((got.count('notify_delivered'), got.count('notify_recipients')), (counts['pushed'], counts['pushed']))
    check(counts['pushed'] > 0, 'nothing was pushed')
    equal((got.count('notify_missed'), counts['dropped']), (0, 0))


def test_notification_fanout_with_losses(t):
    server = Server(t, 'notify', drop_every=3)
    got = run(t, server, 'notification-fanout.js', SUBSCRIBERS=8, RATE=20, DURATION_S=1,
              failing=['notify_missed{topic:orders}', 'notify_missed{topic:alerts}'])
    counts = server.counts()
    check(counts['dropped'] > 5, 'the server dropped only %d', counts['dropped'])
    equal((got.count('notify_delivered'), got.count('notify_missed')), (counts['pushed'], counts['dropped']))


def test_graphql_auction(t):
    server = Server(t, 'auction', length=20)
    got = run_clean(t, server, 'graphql-auction.js', BIDDERS=6, LOTS=2, PAUSE_MS=40)
    counts = server.counts()
    equal((counts['bids'], counts['subscriptions']), (40, 6))
    equal((got.count('auction_bids'), got.count('auction_outbid')), (40, counts['refusedBids']))
    equal((got.count('auction_seen') + 6, got.count('auction_missed')), (counts['results'], 0))
    equal(got.count('graphqlws_results', operation='Watch'), counts['results'])


def test_graphql_auction_with_losses(t):
    server = Server(t, 'auction', length=20, drop_every=9)
    got = run(t, server, 'graphql-auction.js', BIDDERS=6, LOTS=2, PAUSE_MS=40, failing=['auction_missed'])
    counts = server.counts()
    check(counts['dropped'] > 5, 'the server dropped only %d', counts['dropped'])
    equal((got.count('auction_missed'), got.count('auction_seen') + 6), (counts['dropped'], counts['results']))


def test_socketio_chat(t):
    server = Server(t, 'rooms')
    got = run_clean(t, server, 'socketio-chat.js', USERS=6, ROOMS=2, MESSAGES=6, PAUSE_MS=40, ACK_MS=10000)
    counts = server.counts()
    equal((counts['joins'], counts['messages'], counts['typing']), (6, 36, 36))
    equal((got.count('chat_heard'), got.count('chat_lost')), (counts['delivered'], 0))
    equal(got.samples('socketio_ack', event='message'), 36)
    equal(got.count('socketio_acked'), 36 + 6 + 6)


def test_socketio_chat_with_losses(t):
    """Messages that were not delivered, and acknowledgements that did not come, are two different counts."""
    server = Server(t, 'rooms', drop_every=10)
    got = run(t, server, 'socketio-chat.js', USERS=6, ROOMS=2, MESSAGES=6, PAUSE_MS=40, ACK_MS=10000,
              failing=['chat_lost'])
    counts = server.counts()
    check(counts['dropped'] > 3, 'the server dropped only %d', counts['dropped'])
    equal((got.count('chat_lost'), got.count('chat_heard')), (counts['dropped'], counts['delivered']))

    server = Server(t, 'rooms', lose_ack_every=5)
    got = run(t, server, 'socketio-chat.js', USERS=4, ROOMS=2, MESSAGES=5, PAUSE_MS=20, ACK_MS=3000,
              failing=['chat_unconfirmed'])
    counts = server.counts()
    equal((counts['lostAcks'], got.count('chat_unconfirmed'), got.count('chat_lost')), (4, 4, 0))
    equal(got.samples('socketio_acked', event='message') - got.count('socketio_acked', event='message'), 4)


def test_reconnect_with_backoff(t):
    """Every break and every refusal is seen, by its kind, and nothing is lost."""
    server = Server(t, 'flaky', length=60, interval=10, drop_after=15, refuse=2)
    got = run_clean(t, server, 'reconnect-with-backoff.js', CLIENTS=4, BASE_MS=20)
    counts = server.counts()
    breaks = counts['closed1012'] + counts['terminated']
    check(breaks >= 8, 'only %d breaks', breaks)
    equal([got.count('stream_breaks', code=code) for code in ('1012', '1006')],
          [counts['closed1012'], counts['terminated']])
    equal(got.count('stream_attempts', result='open'), counts['accepted'])
    equal(got.count('stream_attempts', result='refused'), counts['refused503'])
    equal((counts['refused503'], got.samples('stream_downtime')), (2 * breaks, breaks))
    equal((got.count('stream_events'), got.count('stream_lost'), counts['finished']), (240, 0, 4))


def test_reconnect_with_backoff_and_losses(t):
    """What the server forgot before it was asked for is lost, exactly; a server that stays away is given up."""
    server = Server(t, 'flaky', length=60, interval=10, drop_after=15, refuse=3, keep=1)
    got = run(t, server, 'reconnect-with-backoff.js', CLIENTS=4, BASE_MS=100, failing=['stream_lost'])
    counts = server.counts()
    check(counts['evicted'] > 0, 'nothing was lost')
    equal((got.count('stream_lost'), got.count('stream_events')), (counts['evicted'], 240 - counts['evicted']))

    server = Server(t, 'flaky', length=60, interval=10, drop_after=15, refuse=1000)
    got = run(t, server, 'reconnect-with-backoff.js', CLIENTS=2, BASE_MS=1, ATTEMPTS=5,
              failing=['stream_gave_up', 'checks'])
    equal((got.count('stream_gave_up'), server.counts()['refused503']), (2, 10))


def test_shared_users(t):
    """Each of the file's users logs in exactly once."""
    server = Server(t, 'login')
    got = run_clean(t, server, 'shared-users.js', VUS=8, USERS=60)
    counts = server.counts()
    equal((counts['logins'], counts['distinctUsers'], counts['duplicateLogins']), (60, 60, 0))
    equal((got.count('user_sessions'), got.count('user_conflicts')), (60, 0))
    rows = read(os.path.join(SCRIPTS, 'data', 'users.csv')).split('\n')[1:61]
    gold = sum(row.split(',')[3] == 'gold' for row in rows)
    equal(got.count('user_sessions', plan='gold'), gold)
    # A second run begins with a clean start.
    run(t, server, 'shared-users.js', VUS=4, USERS=20)
    equal(server.counts()['duplicateLogins'], 0)


def test_shared_users_that_collide(t):
    """Picked at random, users meet: every refusal is counted. 60 picks of 60 users without a pair: less than 1 in 10^24."""
    server = Server(t, 'login')
    got = run(t, server, 'shared-users.js', VUS=8, USERS=60, PICK='random', failing=['user_conflicts'])
    counts = server.counts()
    equal((got.count('user_conflicts'), got.count('user_sessions')), (counts['duplicateLogins'], counts['logins']))
    equal(counts['duplicateLogins'] + counts['distinctUsers'], 60)


def test_thresholds_per_tag(t):
    server = Server(t, 'rpc')
    got = run_clean(t, server, 'thresholds-per-tag.js', WEB=4, APP=2, VISITS=3)
    counts = server.counts()
    equal(counts['calls'], {'search': 54, 'quote': 18, 'order': 18})
    equal({m: got.samples('rpc_time', method=m) for m in counts['calls']}, counts['calls'])
    equal(got.samples('rpc_time', method='order', client='phone'), 6)
    equal((got.count('iterations', scenario='web'), got.count('iterations', client='phone')), (12, 6))


def test_thresholds_per_tag_that_fail(t):
    """One method fails: the thresholds on it fail, no other does, and the log names it. With abortOnFail the run stops."""
    # 2 of the 24 quotes, whoever asks for them: more than the scenario app would bear would be 3 of its 60 calls.
    server = Server(t, 'rpc', fail_method='quote', fail_every=10)
    got = run(t, server, 'thresholds-per-tag.js', WEB=4, APP=4, VISITS=3,
              failing=['checks', 'rpc_failed{method:quote}'])
    equal(server.counts()['failed'], {'quote': 2})
    equal([got.count('rpc_failed', method=m) for m in ('search', 'quote', 'order')], [0, 2, 0])
    crossed = got.run.logged('error', 'have been crossed')
    check(crossed and 'rpc_failed{method:quote}' in crossed[0].msg and 'method:order' not in crossed[0].msg, 'the log: %r',
          crossed)

    server = Server(t, 'rpc', fail_every=1)
    t.start_args('run', '--quiet', '-e', 'URL=' + server.url, '-e', 'ABORT=1', '-e', 'VISITS=100000',
                 os.path.join(SCRIPTS, 'thresholds-per-tag.js')).wait(code=99)


def test_arrival_rate_sessions(t):
    """The schedule is the rate's, whatever the machine: 10 in the ramp of 1 s, 40 in 2 s, and the one at its end."""
    server = Server(t, 'rpc')
    got = run_clean(t, server, 'arrival-rate-sessions.js', RATE=20, RAMP_S=1, STEADY_S=2, THINK_MS=50)
    counts = server.counts()
    dropped = got.count('dropped_iterations')
    check(49 <= counts['accepted'] + dropped <= 50, 'accepted %d, dropped %d', counts['accepted'], dropped)
    equal(got.count('iterations'), counts['accepted'])
    equal((got.count('ws_sessions'), got.count('visits_accepted')), (counts['accepted'], counts['accepted']))
    equal((got.count('visit_orders'), counts['calls']['order']), (counts['accepted'], counts['accepted']))


def test_arrival_rate_sessions_that_pile_up(t):
    """A slow server and few VUs: whoever could not begin is dropped, and no session is counted twice."""
    server = Server(t, 'rpc', delay=300)
    got = run(t, server, 'arrival-rate-sessions.js', RATE=20, RAMP_S=1, STEADY_S=2, THINK_MS=50, MAX_VUS=3)
    check('raise maxVUs' in got.run.stderr, 'no warning')
    counts = server.counts()
    dropped = got.count('dropped_iterations')
    check(dropped > 0, 'nothing was dropped')
    check(49 <= counts['accepted'] + dropped <= 50, 'accepted %d, dropped %d', counts['accepted'], dropped)
    equal(got.count('iterations'), counts['accepted'])
    equal(got.code, 99)


def test_binary_protocol(t):
    for chunk in (0, 7, 1):
        server = Server(t, 'gateway', chunk=chunk)
        got = run_clean(t, server, 'binary-protocol.js', CLIENTS=3, ROUNDS=20)
        counts = server.counts()
        equal((counts['logins'], counts['reads'], counts['writes'], counts['badFrames']), (3, 60, 60, 0))
        equal((got.samples('gateway_request', op='read'), got.samples('gateway_request', op='write')), (60, 60))
        equal((got.count('gateway_wrong_values'), got.samples('gateway_wrong_values')), (0, 60))


def test_binary_protocol_with_damage(t):
    """Every damaged frame is found by its checksum, asked for again, and no wrong value gets through."""
    server = Server(t, 'gateway', chunk=5, corrupt_every=9)
    got = run(t, server, 'binary-protocol.js', CLIENTS=3, ROUNDS=20, failing=['gateway_corrupt'])
    counts = server.counts()
    check(counts['corrupted'] > 5, 'only %d frames were damaged', counts['corrupted'])
    equal((got.count('gateway_corrupt'), got.count('gateway_retries')), (counts['corrupted'], counts['corrupted']))
    equal((got.count('gateway_wrong_values'), got.samples('gateway_request')), (0, 3 + 120))
    equal(counts['reads'] + counts['writes'] + counts['logins'], 123 + counts['corrupted'])


def test_idle_connections(t):
    server = Server(t, 'presence', interval=200)
    got = run_clean(t, server, 'idle-connections.js', DEVICES=40, RAMP_S=0.5, HOLD_S=1, ASK_S=0.5, PATIENCE_S=10)
    counts = server.counts()
    equal((got.count('idle_opened'), counts['accepted'], got.count('idle_refused')), (40, 40, 0))
    equal(got.samples('idle_answer'), counts['questions'])
    check(0 < got.count('idle_heartbeats') <= counts['heartbeats'], 'heartbeats: %r', counts)
    check(got.samples('idle_answer') >= 40, 'only %d answers', got.samples('idle_answer'))


def test_idle_connections_that_die(t):
    """Connections that the server closed, and those that are open but dead, are told apart and counted."""
    server = Server(t, 'presence', interval=100, evict_every=8)
    got = run(t, server, 'idle-connections.js', DEVICES=24, RAMP_S=0, HOLD_S=1, ASK_S=1, PATIENCE_S=10,
              failing=['idle_closed'])
    counts = server.counts()
    # A device may have left before its turn came.
    equal(got.count('idle_closed', code='1001'), got.count('idle_closed'))
    check(0 < got.count('idle_closed') <= counts['evicted'] <= 3, 'closed %d: %r', got.count('idle_closed'), counts)

    server = Server(t, 'presence', interval=200, mute_every=6)
    got = run(t, server, 'idle-connections.js', DEVICES=24, RAMP_S=0, HOLD_S=0, ASK_S=0.2, PATIENCE_S=4,
              failing=['idle_silent'])
    equal((server.counts()['muted'], got.count('idle_silent'), got.samples('idle_answer')), (4, 4, 20))


def test_whiteboard(t):
    """Late and out of order, boards agree."""
    server = Server(t, 'board', delay_every=4)
    got = run_clean(t, server, 'whiteboard.js', BOARDS=2, MEMBERS=4, MOVES=15, PAUSE_MS=30)
    counts = server.counts()
    equal((got.count('board_moves'), counts['moves']), (120, 120))
    equal((got.count('board_received'), counts['delivered']), (360, 360))
    equal((got.count('board_diverged'), counts['diverged']), (0, 0))
    check(got.count('board_stale') > 0, 'nothing came late')


def test_whiteboard_with_losses(t):
    """Boards that miss what mattered are found; others are not accused."""
    server = Server(t, 'board', drop_every=2)
    got = run(t, server, 'whiteboard.js', BOARDS=2, MEMBERS=4, MOVES=15, PAUSE_MS=30, failing=['board_diverged'])
    counts = server.counts()
    equal((counts['dropped'], got.count('board_received')), (180, 180))
    equal((got.count('board_diverged'), got.samples('board_diverged')), (counts['diverged'], 8))


def test_upload_backpressure(t):
    server = Server(t, 'upload', pace=5)
    got = run_clean(t, server, 'upload-backpressure.js', VUS=3, FILES=2, FILE_KB=100, CHUNK_KB=8, WINDOW=3)
    counts = server.counts()
    equal((counts['files'], counts['chunks'], counts['bytes']), (6, 6 * 13, 6 * 100 * 1024))
    equal((got.count('upload_bytes'), got.samples('upload_chunk')), (counts['bytes'], counts['chunks']))
    equal((got.count('upload_damaged'), got.samples('upload_damaged')), (0, 6))
    check(1 < counts['mostWaiting'] <= 3, '%d chunks waited at once', counts['mostWaiting'])


def test_upload_backpressure_with_refusals(t):
    """Every refused chunk is sent again, and every file is whole."""
    server = Server(t, 'upload', refuse_every=5)
    got = run(t, server, 'upload-backpressure.js', VUS=3, FILES=2, FILE_KB=100, CHUNK_KB=8)
    counts = server.counts()
    check(counts['refused'] > 10, 'only %d refused', counts['refused'])
    equal((got.count('upload_refused'), counts['chunks']), (counts['refused'], 78 + counts['refused']))
    equal((counts['confirmedBytes'], got.count('upload_damaged'), got.samples('upload_damaged')), (6 * 100 * 1024, 0, 6))


def test_serve(t):
    """Without a name it lists the servers; a wrong option is answered with those there are."""
    packages()
    done = subprocess.run([SERVE], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    names = re.findall(r'^  (\w+): ', done.stderr, re.M)
    equal((done.returncode, names), (2, sorted(set(name[:-3] for name in os.listdir(os.path.join(
        os.path.dirname(SERVE), 'gallery'))) - {'lib'})))
    for words in (['chat', '--drop', '5'], ['chat', '--drop-every'], ['chat', '--port', 'x'], ['chat', 'drop-every', '5']):
        done = subprocess.run([SERVE] + words, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        equal(done.returncode, 2, ' '.join(words))
        check('--drop-every (0)' in done.stderr, '%r: %s', words, done.stderr)


def test_plain_k6(t):
    """Only the scripts of the kits need squall's modules; each header tells how to run it, docs/examples.md what it is."""
    page = read(os.path.join(ROOT, 'docs', 'examples.md'))
    files = [os.path.join(folder, name) for folder, _, names in os.walk(SCRIPTS) for name in names
             if name.endswith(('.js', '.ts')) and not name.endswith('.d.ts')]
    check(len(files) >= 15, 'only %d files', len(files))
    for path in files:
        name, text = os.path.relpath(path, SCRIPTS), read(path)
        imports = re.findall(r"^(?:import|export) .*from '([^']+)';$", text, re.M)
        kits = [i for i in imports if i.startswith('squall/')]
        strange = [i for i in imports if i not in kits and not re.match(r"k6$|k6/|\./|\.\./", i)]
        equal(strange, [], name + ': imports')
        if kits:
            check('On k6: copy kits/' in text, '%s does not tell how to run it on k6', name)
        if os.path.dirname(name) not in ('', 'typescript-project'):
            continue  # a module of a script
        check('squall run examples/gallery/' + name in text, '%s does not tell how it is run', name)
        server = re.search(r'//   tests/servers/serve (\w+)', text)
        check(server and os.path.exists(os.path.join(ROOT, 'tests', 'servers', 'gallery', server[1] + '.js')),
              '%s names no server', name)
        check('(../examples/gallery/%s)' % name in page, 'docs/examples.md does not know %s', name)
