# SPDX-License-Identifier: Apache-2.0
"""Numbers that labs share: which 127.NET.0.0/16 is free, which TCP port is free; and packet loss.

A NET belongs to a lab directory while the directory's lab.json names it.  The registry (one file
per NET, under one lock) only says where to look, so a crashed owner leaves nothing to repair.
Cutting needs root and nftables: nodes run under their own uids and packets are matched by them,
because an outgoing connection on loopback does not carry its node's address by itself.
"""
import fcntl
import json
import os
import re
import shutil
import socket
import subprocess

from . import topology
from .errors import LabError

REGISTRY = '/tmp/sealane-lab-nets'
NETS = range(11, 250)


def _owner(net):
    """The lab directory that holds NET, or None."""
    try:
        with open('%s/%d' % (REGISTRY, net)) as f:
            where = f.read().strip()
        with open(os.path.join(where, 'lab.json')) as f:
            return where if json.load(f)['net'] == net else None
    except (OSError, ValueError, KeyError):
        return None


def _in_use(net):
    """Does anybody listen on an address of NET (a lab whose directory was removed by hand)?"""
    for ip in topology.addresses(net):
        for port in (topology.SQL_PORT, topology.GROUP_PORT):
            if not can_bind(ip, port):
                return True
    return False


def can_bind(ip, port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((ip, port))
            return True
        except OSError:
            return False


def free_port(ip, first):
    """first, or the next port above it that nobody listens on."""
    for port in range(first, first + 500):
        if can_bind(ip, port):
            return port
    raise LabError('no free port on %s from %d on' % (ip, first))


def _registry_lock():
    """The lock file, in a directory that the labs of all users share."""
    os.makedirs(REGISTRY, exist_ok=True)
    lock = os.fdopen(os.open(REGISTRY + '/lock', os.O_RDWR | os.O_CREAT, 0o666), 'r+')
    for path, mode in ((REGISTRY, 0o777), (REGISTRY + '/lock', 0o666)):
        if os.stat(path).st_uid == os.geteuid():
            os.chmod(path, mode)                 # whatever the umask was
    return lock


def claim(directory, wanted, take):
    """Choose a NET (wanted, or the first free one) and call take(NET) while it is locked."""
    with _registry_lock() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for net in [wanted] if wanted is not None else NETS:
            owner = _owner(net)
            if owner not in (None, directory) or owner is None and _in_use(net):
                continue
            entry = '%s/%d' % (REGISTRY, net)
            try:
                if os.path.exists(entry):
                    os.unlink(entry)
            except OSError:
                continue
            with open(entry, 'w') as f:
                f.write(directory)
            take(net)
            return net
    raise LabError('net %s is taken' % wanted if wanted is not None else 'no free net number')


def release(net):
    try:
        os.unlink('%s/%d' % (REGISTRY, net))
    except OSError:
        pass


# ---------------------------------------------------------------------- cuts
NFT = shutil.which('nft', path='/usr/sbin:/sbin:/usr/bin')


def _table(net):
    return 'sealanelab%d' % net


def _open_connections():
    """(local ip, local port, remote ip, remote port, uid) of established connections."""
    text = subprocess.run(['ss', '-Htne'], stdout=subprocess.PIPE, text=True).stdout
    for line in text.splitlines():
        m = re.match(r'\S+\s+\d+\s+\d+\s+(\S+):(\d+)\s+(\S+):(\d+).*?uid:(\d+)', line)
        if m:
            yield m.groups()


def _rules(nodes, cuts):
    conns = list(_open_connections())
    for a, b in cuts:
        one = nodes[a]
        if b == '*':
            uids = ', '.join(str(n.spec.uid) for n in nodes.values())
            yield 'meta skuid != { %s } ip daddr %s drop;' % (uids, one.ip)
            continue
        for x, y in ((one, nodes[b]), (nodes[b], one)):
            yield 'meta skuid %d ip daddr %s drop;' % (x.spec.uid, y.ip)
            # connections of x from an address that is not its own are open already: drop
            # also what y sends back on them
            for lip, lport, rip, rport, uid in conns:
                if rip == y.ip and int(uid) == x.spec.uid and lip != x.ip:
                    yield ('ip saddr %s tcp sport %s ip daddr %s tcp dport %s drop;'
                           % (rip, rport, lip, lport))


def cut(net, nodes, cuts):
    """Drop all packets between the pairs in cuts ('*' = everybody who is not a node)."""
    if os.geteuid() != 0 or not NFT:
        raise LabError('partition needs root and the package nftables')
    heal(net)
    text = ('table inet %s { chain out { type filter hook output priority 0; policy accept;\n%s\n}\n}\n'
            % (_table(net), '\n'.join(_rules(nodes, cuts))))
    p = subprocess.run([NFT, '-f', '-'], input=text, text=True, stderr=subprocess.PIPE)
    if p.returncode:
        raise LabError('nft failed: ' + p.stderr)


def heal(net):
    if os.geteuid() == 0 and NFT:
        subprocess.run([NFT, 'delete', 'table', 'inet', _table(net)], stderr=subprocess.DEVNULL)
