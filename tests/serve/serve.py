#!/usr/bin/env python3
"""uiommu serve as a command: options, sockets, clients that come, break off and come back, signals. serve.py UIOMMU"""
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile

UIOMMU = os.path.realpath(sys.argv[1])
os.chdir(tempfile.mkdtemp(prefix='ui'))
VERSION, REGION_READ = 1, 9
CONFIG = 7
# What takes longer hangs.
PATIENCE_S = 30
failures = 0


def check(ok, what):
    global failures
    if not ok:
        failures += 1
        print('not ok:', what)


def start(*args):
    """The server and what it says when it listens; nothing when it ends instead."""
    server = subprocess.Popen([UIOMMU, 'serve'] + list(args), stdout=subprocess.PIPE, stderr=open('err', 'w'), text=True)
    said = []
    for line in server.stdout:
        said.append(line)
        if not line.rstrip('\n').endswith('\\'):
            break
    return server, said


def stop(server, how=signal.SIGTERM):
    server.send_signal(how)
    server.stdout.close()
    try:
        return server.wait(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        server.kill()
        check(False, 'the server ends')
        return server.wait()


def message(number, command, payload):
    return struct.pack('=HHIII', number, command, 16 + len(payload), 0, 0) + payload


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(path)
        self.number = 0

    def take(self, n):
        data = b''
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                return None
            data += more
        return data

    def ask(self, command, payload):
        self.number += 1
        try:
            self.socket.sendall(message(self.number, command, payload))
            head = self.take(16)
        except OSError:
            return None
        if not head:
            return None
        number, _, size, flags, _ = struct.unpack('=HHIII', head)
        check(number == self.number and flags & 0xf == 1, 'the answer belongs to the question')
        return self.take(size - 16)

    def version(self):
        return self.ask(VERSION, struct.pack('=HH', 0, 0) + b'{"capabilities":{}}\0')

    def vendor(self):
        answer = self.ask(REGION_READ, struct.pack('=QII', 0, CONFIG, 4))
        return answer and struct.unpack('=HH', answer[16:])[0]


def refused(want, *args):
    r = subprocess.run([UIOMMU, 'serve'] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    check(r.returncode == 1 and want in r.stderr and r.stderr.count('\n') == 1 and not r.stdout,
          '%s: wanted "%s", got %d, "%s"' % (' '.join(args), want, r.returncode, r.stderr))


refused('at which socket', '-d', 'dma')
refused('2 are given for 1 device', '-s', 'a', '-s', 'b', '-d', 'dma')
refused('unknown device', '-s', 'a', '-d', 'nic')
refused('has 1 to 107 characters', '-s', 'x' * 108, '-d', 'dma')
refused('No such file', '-s', 'no/a', '-d', 'dma')
refused('no-such-image', '-s', 'a', '-d', 'nvme,file=no-such-image')
refused('unexpected "x"', '-s', 'a', 'x')
open('file', 'w').close()
refused('Address already in use', '-s', 'file')
check(os.path.exists('file') and not os.path.exists('a'), 'what is no socket stays, and nothing is left')

# One socket, two devices.
server, said = start('-s', 'it\'s', '-d', 'dma', '-d', 'dma', '--stats=json:stats', '--log', 'info')
check(len(said) == 3, 'it says what QEMU is to be told')
words = subprocess.run(['sh', '-c', 'printf "%s\\n" ' + said[1].strip().rstrip('\\') + said[2].strip()], stdout=subprocess.PIPE, text=True).stdout
paths = [json.loads(word)['socket']['path'] for word in words.split('\n') if word.startswith('{')]
check(paths == ["it's", "it's.1"], 'in words that a shell and QEMU understand: %s' % paths)
check(all(os.stat(path).st_mode & 0o777 == 0o600 for path in paths), 'the sockets are their owner\'s')
first, second = Client(paths[0]), Client(paths[1])
check(first.version() and second.version(), 'both are served')
check(first.vendor() == 0x6975 and second.vendor() == 0x6975, 'and have their device')
other = Client(paths[0])
check(other.version() is None, 'one client at a time')
refused('Address already in use', '-s', paths[0])
check(first.vendor() == 0x6975, 'a second server does no harm')
# One dies in the middle of a message, the next breaks the protocol: nobody else feels it.
first.socket.sendall(message(9, REGION_READ, b'x' * 16)[:20])
first.socket.close()
check(second.vendor() == 0x6975, 'the other one is not disturbed')


def comes_back():
    """The server may not have seen yet that the one before is gone."""
    while True:
        client = Client(paths[0])
        if client.version():
            return client


again = comes_back()
check(again.vendor() == 0x6975, 'a client comes back')
again.socket.sendall(b'\xff' * 16)
check(again.take(1) is None, 'nonsense ends the connection')
again = comes_back()
check(again.vendor() == 0x6975 and second.vendor() == 0x6975, 'and only that')
check(stop(server) == 0, 'it ends as it should')
check(second.take(1) is None, 'its clients see the end')
check(not any(os.path.exists(path) for path in paths), 'its sockets are gone')
check(len(json.load(open('stats'))['devices']) == 2, 'it says what the devices did')
check('cut off' in open('err').read(), 'the log says who was cut off')

# A socket for each; and what a killed server leaves is no hindrance.
for _ in range(2):
    server, said = start('-s', 'a', '-s', 'b', '-d', 'dma', '-d', 'dma')
    check(len(said) == 3 and Client('b').version(), 'a socket for each')
    server.kill()
    server.wait()
    server.stdout.close()
check(os.path.exists('a') and os.path.exists('b'), 'a killed server leaves its sockets')
server, said = start('-s', 'a')
check(Client('a').version() and stop(server, signal.SIGINT) == 0, 'and the next one takes them')
for name in os.listdir('.'):
    os.unlink(name)
os.rmdir(os.getcwd())
print('serve: %d failures' % failures)
sys.exit(failures != 0)
