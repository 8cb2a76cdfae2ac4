# SPDX-License-Identifier: Apache-2.0
"""The command line of the lab."""
import argparse
import json
import signal
import sys
import time

from . import sql, topology
from .cluster import DEFAULT_DIR, Lab
from .errors import LabError

DESCRIPTION = """Real MariaDB and Galera servers on loopback addresses.

TOPOLOGY  single     91
          repl3      41 primary, 42 43 semi-sync GTID replicas
          repl11     401 primary, 402 to 411 semi-sync GTID replicas
          galera2    21 22
          galera3    71 72 73 (GTID domain 70)
          galera2x3  71 72 73 and 81 82 83 (GTID domains 70 and 80)

Node N has its own loopback address 127.NET.x.y and SQL port 33070; `env` prints them.  As root every
node runs under its own uid, which `partition` needs.  On a machine that stalls for seconds, relax the
group: --provider 'evs.suspect_timeout=PT20S;evs.inactive_timeout=PT40S;evs.install_timeout=PT40S'."""


def parser():
    ap = argparse.ArgumentParser(prog='lab', description=DESCRIPTION,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--dir', default=DEFAULT_DIR, help='directory of this lab (%(default)s)')
    ap.add_argument('--net', type=int, help='second byte of the addresses (default: a free one)')
    sub = ap.add_subparsers(dest='command', required=True, metavar='COMMAND')

    def command(name, text, *nodes):
        p = sub.add_parser(name, help=text)
        for n in nodes:
            p.add_argument(n[0], nargs=n[1])
        return p
    p = command('up', 'start a topology in fresh data directories')
    p.add_argument('topology', choices=topology.NAMES)
    p.add_argument('--sst', default='rsync', choices=('rsync', 'mariabackup'))
    p.add_argument('--full-sst', action='store_true', help='joiners start empty')
    p.add_argument('--set', action='append', default=[], metavar='[NODE:]KEY=VALUE')
    p.add_argument('--provider', default='', help='more wsrep_provider_options')
    p.add_argument('--tls', action='store_true', help='certificates in DIR/tls, used by all nodes')
    p = command('down', 'stop all nodes')
    p.add_argument('--wipe', action='store_true', help='remove the directory as well')
    for name, text in (('kill', 'SIGKILL'), ('stop', 'clean stop'), ('freeze', 'SIGSTOP'),
                       ('thaw', 'SIGCONT')):
        command(name, text, ('nodes', '+'))
    p = command('start', 'start nodes again', ('nodes', '+'))
    p.add_argument('--bootstrap', action='store_true', help='as the first node of its cluster')
    p.add_argument('--empty', action='store_true', help='with an empty data directory (SST)')
    p.add_argument('--no-wait', action='store_true')
    p = command('partition', 'drop packets between nodes', ('nodes', '+'))
    p.add_argument('--from', dest='peers', nargs='+')
    p.add_argument('--clients', action='store_true', help='cut clients off as well')
    command('heal', 'remove all partitions')
    p = command('link', 'make REPLICA replicate from PRIMARY', ('replica', None),
                ('primary', None))
    p.add_argument('--pos', help='set gtid_slave_pos first')
    p.add_argument('--use', default='slave_pos', choices=('slave_pos', 'current_pos'))
    p.add_argument('--opt', default='', help='more options of CHANGE MASTER')
    command('status', 'what the nodes say, as JSON', ('nodes', '*'))
    p = command('sql', 'run SQL on a node (root, unix socket)', ('node', None), ('text', None))
    p.add_argument('--user')
    p.add_argument('--password', default='')
    p.add_argument('--timeout', type=float, default=60)
    p = command('conf', 'settings for the next start of nodes')
    p.add_argument('--set', action='append', default=[], metavar='[NODE:]KEY=VALUE')
    p.add_argument('--provider')
    p.add_argument('--sst')
    command('env', 'addresses of the nodes as shell variables')
    p = command('log', 'end of the error log', ('node', None))
    p.add_argument('lines', nargs='?', type=int, default=30)
    return ap


def do_up(lab, a):
    seconds = lab.up(a.topology, a.sst, a.full_sst, a.set, a.provider, a.tls, a.net)
    print('%s up in %.1f s' % (a.topology, seconds))
    for n in lab.nodes:
        print('  %s  %s:%d  socket %s' % (n.name, n.ip, n.port, n.socket))


def do_down(lab, a):
    start = time.monotonic()
    lab.down(a.wipe)
    print('down in %.1f s' % (time.monotonic() - start))


def do_signal(lab, a):
    for name in a.nodes:
        start = time.monotonic()
        done = getattr(lab.node(name), a.command)()
        print('%s %s: %s (%.2f s)' % (a.command, name, 'done' if done else 'not running',
                                      time.monotonic() - start))


def do_start(lab, a):
    for name in a.nodes:
        start = time.monotonic()
        node = lab.node(name)
        if a.empty and not node.pid:
            node.fill(None)
        node.start(a.bootstrap, not a.no_wait)
        print('started %s in %.1f s' % (name, time.monotonic() - start))


def do_sql(lab, a):
    login = dict(user=a.user, password=a.password) if a.user else {}
    try:
        for row in lab.node(a.node).sql(a.text, a.timeout, **login):
            print('\t'.join('NULL' if v is None else v for v in row))
    except sql.Error as e:
        raise LabError('ERROR %s: %s' % (e.args[0], e.args[-1])) from e


def do_conf(lab, a):
    lab.options['set'] = lab.options.get('set', []) + a.set
    for key in ('provider', 'sst'):
        if getattr(a, key) is not None:
            lab.options[key] = getattr(a, key)
    lab.save()
    print(json.dumps(lab.options))


def do_env(lab, a):
    for n in lab.nodes:
        print('N%s_HOST=%s N%s_PORT=%d N%s_SOCK=%s' % (n.name, n.ip, n.name, n.port, n.name,
                                                       n.socket))


def do_status(lab, a):
    json.dump(lab.status(a.nodes), sys.stdout, indent=1)
    print()


COMMANDS = {
    'up': do_up, 'down': do_down, 'kill': do_signal, 'stop': do_signal, 'freeze': do_signal,
    'thaw': do_signal, 'start': do_start, 'sql': do_sql, 'conf': do_conf, 'env': do_env,
    'status': do_status,
    'partition': lambda lab, a: lab.partition(a.nodes, a.peers, a.clients),
    'heal': lambda lab, a: lab.heal(),
    'link': lambda lab, a: lab.link(a.replica, a.primary, a.pos, a.use, a.opt),
    'log': lambda lab, a: print(lab.node(a.node).tail(a.lines), end=''),
}


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    a = parser().parse_args()
    try:
        COMMANDS[a.command](Lab(a.dir), a)
    except LabError as e:
        print('lab: %s' % e, file=sys.stderr)
        sys.exit(1)
