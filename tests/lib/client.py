"""Drives python-socketio's client for the tests.

Commands come as JSON lines on the standard input, each with an "id" that its
answer carries; what clients hear goes out as {"heard": event, ...}. Bytes are
{"$bytes": base64} in both directions.
"""
import base64
import json
import sys
import threading

import socketio

HEARD = ('auth', 'message-back', 'asked', 'to-room', 'vol', 'bye')
clients = {}
out_lock = threading.Lock()


def encode(value):
    if isinstance(value, (bytes, bytearray)):
        return {'$bytes': base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    if isinstance(value, dict):
        return {k: encode(v) for k, v in value.items()}
    return value


def decode(value):
    if isinstance(value, list):
        return [decode(v) for v in value]
    if isinstance(value, dict):
        if '$bytes' in value:
            return base64.b64decode(value['$bytes'])
        return {k: decode(v) for k, v in value.items()}
    return value


def say(message):
    with out_lock:
        print(json.dumps(message), flush=True)


def listen(sio, name, namespace):
    def tell(event):
        def handler(*args):
            say({'client': name, 'namespace': namespace, 'heard': event,
                 'args': encode(args)})
        return handler
    for event in HEARD + ('connect', 'connect_error', 'disconnect'):
        sio.on(event, tell(event), namespace=namespace)

    # what the server asks is answered with the arguments, the last one first
    def question(*args):
        return tuple(reversed(args))
    sio.on('question', question, namespace=namespace)


def run(c):
    name, ns = c['client'], c.get('namespace', '/')
    if c['do'] == 'open':
        sio = clients[name] = socketio.Client(
            reconnection=c['reconnection'], reconnection_delay=0.05,
            reconnection_delay_max=0.2)
        for n in c['namespaces']:
            listen(sio, name, n)
        sio.connect(c['url'], transports=c['transports'], auth=c['auth'],
                    namespaces=c['namespaces'], wait_timeout=10)
        return None
    sio = clients[name]
    if c['do'] == 'emit':
        return sio.emit(c['event'], tuple(decode(c['args'])), namespace=ns)
    if c['do'] == 'ask':
        answer = sio.call(c['event'], tuple(decode(c['args'])), namespace=ns,
                          timeout=10)
        return encode(answer)
    if c['do'] == 'close':
        sio.eio.reconnection = sio.reconnection = False
        return sio.disconnect()
    raise ValueError(c['do'])


def answer(c):
    try:
        say({'id': c['id'], 'value': run(c)})
    except Exception as e:  # the test decides what is an error
        say({'id': c['id'], 'error': f'{type(e).__name__}: {e}'})


for line in sys.stdin:
    command = json.loads(line)
    if command['do'] == 'emit':  # in order
        answer(command)
    else:
        threading.Thread(target=answer, args=(command,), daemon=True).start()
