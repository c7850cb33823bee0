#!/usr/bin/env python3
"""uiommu run --stats: what it prints, when, and that it is in nobody's way. stats.py UIOMMU PROGRAM (stats.c)"""
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

UIOMMU, PROGRAM = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2])
RID = '0000:01:00.0'
FILLS = 5
# Each fill: the descriptor's 64 bytes, 100 filled, the completion's 28 and, last, its status of 4.
WORK = {'dmas': 4 * FILLS, 'bytes': 196 * FILLS, 'nested_walks': 0, 'faults': 0, 'maps': 2}
failed = []
jobs = []


def check(what, ok, *seen):
    print('ok' if ok else 'not ok', what, *(() if ok else seen), flush=True)
    if not ok:
        failed.append(what)


def command(stats, *argv):
    return [UIOMMU, 'run', '--log', 'none', stats, '--', *argv]


def run(stats, *argv):
    return subprocess.run(command(stats, *argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)


def start(stats, *argv, **more):
    """The command, once its program has said "ready"."""
    job = subprocess.Popen(command(stats, *argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    jobs.append(job)
    assert job.stdout.readline() == 'ready\n'
    return job


def child_of(pid):
    with open('/proc/%d/task/%d/children' % (pid, pid)) as file:
        return int(file.read().split()[0])


def rows(doc):
    """PASID to row, of the one device."""
    assert [d['device'] for d in doc['devices']] == [RID] and doc['devices'][0]['type'] == 'dma'
    return {row['pasid']: row for row in doc['devices'][0]['pasids']}


def holds(row, want, times=1):
    return all(row[key] == times * val for key, val in want.items()) and row['tlb_hits'] + row['tlb_misses'] >= row['dmas']


def table_row(text, pasid):
    """Numbers of the table's line for that PASID."""
    found = re.search(r'^%s +dma +%s +(.*)$' % (re.escape(RID), pasid), text, re.M)
    return [int(word) for word in found.group(1).split()] if found else None


def until(what, predicate):
    for _ in range(2000):
        if predicate():
            return
        time.sleep(0.01)
    check(what, False, 'did not come to be')


def prints():
    end = run('--stats', PROGRAM)
    row = table_row(end.stderr, 'none')
    check('a table at the end', end.returncode == 0 and 'uiommu: 1 process used devices\n' in end.stderr and row and
          row[0] == WORK['dmas'] and row[1] == WORK['bytes'] and row[7] == WORK['maps'], end)
    end = run('--stats=json', PROGRAM)
    doc = json.loads(end.stderr)
    check('JSON at the end', end.returncode == 0 and doc['processes'] == 1 and doc['uncounted'] == 0 and
          holds(rows(doc)[None], WORK) and list(rows(doc)) == [None] and set(doc['detached']) ==
          {'maps', 'unmaps', 'invalidations'}, end)
    doc = json.loads(run('--stats=json', '/bin/true').stderr)
    check('a program without devices', doc['processes'] == 0 and rows(doc)[None]['dmas'] == 0, doc)
    doc = json.loads(run('--stats=json', PROGRAM, 'pasids').stderr)
    check('PASIDs, and those beyond the rows', list(rows(doc)) == [None, *range(1, 63), 'others'] and
          rows(doc)[7]['faults'] == 1 and rows(doc)['others']['faults'] == 8 and rows(doc)['others']['dmas'] == 8, doc)


def processes():
    for what in 'fork', 'exec':
        doc = json.loads(run('--stats=json', PROGRAM, what).stderr)
        check('a program that does ' + what, doc['processes'] == 2 and holds(rows(doc)[None], WORK, 2), doc)
    end = run('--stats=json', 'bash', '-c', '"$0" & "$0" & wait', PROGRAM)
    check('two processes at the same time', holds(rows(json.loads(end.stderr))[None], WORK, 2), end)
    end = run('--stats=json', 'bash', '-c', 'for i in 1 2 3; do "$0" & done; wait; "$0"', PROGRAM)
    check('one after others', holds(rows(json.loads(end.stderr))[None], WORK, 4), end)
    end = run('--stats=json', UIOMMU, 'run', '--log', 'none', '--', PROGRAM)
    check("an inner command's machine is another one", json.loads(end.stderr)['processes'] == 0, end)
    nobody = ['setpriv', '--reuid', '65534', '--clear-groups']
    if os.getuid() == 0 and shutil.which('setpriv') and not subprocess.call([*nobody, 'test', '-r', PROGRAM]):
        end = subprocess.run([UIOMMU, 'run', '--stats=json', '--', *nobody, PROGRAM],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        check("another user's process is served, and says that it is missing", end.returncode == 0 and end.stderr.startswith(
            "uiommu: what this process does is missing in the command's statistics: Permission denied\n") and
            json.loads(end.stderr.split('\n', 1)[1])['processes'] == 0, end)
    end = run('--stats=json', 'python3', '-c', 'import subprocess, sys; subprocess.run(sys.argv[1:], close_fds=True, check=True)', PROGRAM)
    check('through a launcher that closes descriptors', holds(rows(json.loads(end.stderr))[None], WORK), end)


def killed(folder):
    job = start('--stats=json', PROGRAM, 'hold')
    os.kill(child_of(job.pid), signal.SIGKILL)
    err = job.communicate(timeout=20)[1]
    check("SIGKILL of the program: status 137, one line, and its numbers", job.returncode == 137 and
          err.startswith('uiommu: %s: Killed\n' % PROGRAM) and holds(rows(json.loads(err.split('\n', 1)[1]))[None], WORK), err)
    name = os.path.join(folder, 'stats')
    job = start('--stats=json:' + name, PROGRAM, 'hold')
    program = child_of(job.pid)
    job.kill()
    job.wait()
    until('SIGKILL of the command kills the program', lambda: not os.path.exists('/proc/%d' % program) or
          open('/proc/%d/stat' % program).read().rsplit(')', 1)[1].split()[0] == 'Z')
    check('SIGKILL of the command leaves nothing behind', os.listdir(folder) == ['stats'] and os.path.getsize(name) == 0)


def asked(folder):
    name = os.path.join(folder, 'asked')
    job = start('--stats=json:' + name, PROGRAM, 'hold')
    for _ in range(2):
        job.send_signal(signal.SIGUSR1)
        until('SIGUSR1 writes the file', lambda: open(name).read().endswith('}\n'))
        check('SIGUSR1: so far', holds(rows(json.loads(open(name).read()))[None], WORK), open(name).read())
        os.truncate(name, 0)
    check('SIGUSR1 ends nothing', job.poll() is None)
    os.kill(child_of(job.pid), signal.SIGKILL)
    job.communicate(timeout=20)
    check('at the end the file holds the end', holds(rows(json.loads(open(name).read()))[None], WORK), open(name).read())
    job = start('--stats', PROGRAM, 'hold')
    job.send_signal(signal.SIGUSR1)
    seen = [job.stderr.readline() for _ in range(3)]
    check('SIGUSR1: a table on stderr', table_row(''.join(seen), 'none')[0] == WORK['dmas'], seen)
    job.kill()
    job.communicate(timeout=20)


def unusual():
    for sig in signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGUSR1:
        signal.signal(sig, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM, signal.SIGALRM])


def signals():
    for sig in signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2:
        job = start('--stats', 'python3', '-c', 'import signal, sys\n'
                    'signal.signal(%d, lambda *a: sys.exit(40 + a[0]))\nprint("ready", flush=True)\nwhile True: signal.pause()' % sig)
        job.send_signal(sig)
        err = job.communicate(timeout=20)[1]
        check('%s to the command is for the program' % sig.name, job.returncode == 40 + sig and 'uiommu: 0 processes' in err, job.returncode, err)
    end = run('--stats', 'bash', '-c', 'kill -SEGV $$')
    check('a signal that ends the program is 128 + its number', end.returncode == 139 and 'Segmentation fault' in end.stderr, end)
    end = run('--stats', 'bash', '-c', 'exit 7')
    check("the program's status", end.returncode == 7, end)
    seen = []
    for command_line in ([UIOMMU, 'run'], [UIOMMU, 'run', '--stats']):
        end = subprocess.run([*command_line, '--', 'grep', '-E', 'SigBlk|SigIgn', '/proc/self/status'], preexec_fn=unusual,
                             restore_signals=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        seen.append(end.stdout)
    check('signals are for the program as they were', seen[0] == seen[1] and re.search('SigBlk.*[1-9a-f]', seen[0]) and
          re.search('SigIgn.*[1-9a-f]', seen[0]), seen)
    job = start('--stats', 'bash', '-c', 'echo ready; read', stdin=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    job.send_signal(signal.SIGHUP)
    check('a signal that was ignored stays so', job.communicate('x\n', timeout=20)[1].startswith('uiommu: 0 processes') and job.returncode == 0, job.returncode)


def refused(folder):
    end = run('--stats=xml', '/bin/true')
    check('an unknown format', end.returncode == 1 and end.stderr ==
          'uiommu: --stats: unknown format "xml"; known: table, json, and either with :FILE\n', end)
    end = run('--stats=json:' + folder + '/no/x', '/bin/true')
    check('a file that cannot be', end.returncode == 1 and end.stderr.count('\n') == 1 and 'No such file' in end.stderr, end)
    end = run('--stats', 'no-such-program')
    check('no program, no table', end.returncode == 127 and end.stderr.count('\n') == 1, end)
    job = subprocess.Popen([UIOMMU, 'run', '--', 'sh', '-c', 'echo $$ $UIOMMU_STATS'], stdout=subprocess.PIPE, text=True,
                           env={**os.environ, 'UIOMMU_STATS': 'x'})
    check('without --stats the command becomes the program', job.communicate(timeout=20)[0] == '%d\n' % job.pid)


def shell(argv, says):
    """In a terminal of its own, as a shell with job control: runs argv in the foreground; tells each change of its state."""
    job = os.fork()
    if not job:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execv(argv[0], argv)
    while True:
        status = os.waitpid(job, os.WUNTRACED)[1]
        if not os.WIFSTOPPED(status):
            os.write(says, b'ended %d\n' % os.waitstatus_to_exitcode(status))
            os._exit(0)
        os.write(says, b'stopped\n')
        os.killpg(job, signal.SIGCONT)


def terminal(key, program):
    """What a program prints, and what its shell sees, when the key is pressed after "ready"."""
    ours, theirs = os.pipe()
    pid, fd = pty.fork()
    if not pid:
        shell(command('--stats', 'python3', '-c', program), theirs)
    os.close(theirs)
    text = b''
    while True:
        try:
            got = os.read(fd, 4096)
        except OSError:
            got = b''
        text += got
        if not got:
            break
        if b'ready' in got:
            os.write(fd, key)
    os.waitpid(pid, 0)
    saw = b''.join(iter(lambda: os.read(ours, 4096), b''))
    os.close(ours)
    return text.decode(), saw.decode()


def job_control():
    # One that comes a second time comes soon, but not always before the first was taken: several times.
    text, saw = terminal(b'\x03', 'import signal\nsignal.pthread_sigmask(0, [2])\nextra = []\nfor i in range(8):\n'
                         '    print("ready", flush=True)\n    signal.sigwaitinfo([2])\n    extra.append(signal.sigtimedwait([2], 0.1))\n'
                         'print("extra", [e for e in extra if e])')
    check('the interrupt key interrupts once', 'extra []' in text and saw == 'ended 0\n', text, saw)
    text, saw = terminal(b'\x03', 'import signal, time\nsignal.signal(2, signal.SIG_DFL)\nprint("ready", flush=True)\ntime.sleep(60)')
    check('and ends what does not mind', 'uiommu: 0 processes' in text and saw == 'ended 130\n', text, saw)
    text, saw = terminal(b'\x1a', 'import signal, time\nn = []\nsignal.signal(18, lambda *a: n.append(1))\nprint("ready", flush=True)\n'
                         'while not n: time.sleep(0.01)\nprint("continued")')
    check('the suspend key stops both, and both go on', 'continued' in text and saw == 'stopped\nended 0\n', text, saw)
    text, saw = terminal(b'', 'import os, signal\nsignal.signal(18, lambda *a: print("continued", flush=True))\nprint("ready", flush=True)\n'
                         'os.kill(os.getpid(), signal.SIGTSTP)')
    check('a program that stops itself stops the job', 'continued' in text and saw == 'stopped\nended 0\n', text, saw)


try:
    with tempfile.TemporaryDirectory() as scratch:
        prints()
        processes()
        killed(scratch)
        asked(scratch)
        signals()
        refused(scratch)
        job_control()
finally:
    # The command takes its program along.
    for left in jobs:
        left.kill()
sys.exit(1 if failed else 0)
