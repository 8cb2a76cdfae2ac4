# SPDX-License-Identifier: Apache-2.0
"""A lab: the nodes of one topology in one directory, and what can be done to them.

All state is in DIR/lab.json and the pid files below DIR, so every call of the command line tool,
and a clean-up after a crash, starts from there.
"""
import concurrent.futures
import json
import os
import shutil
import subprocess
import time

from . import guard, net, status, template, tls, topology
from .errors import LabError
from .node import Node, process_state

DEFAULT_DIR = os.environ.get('SEALANE_LAB', '/tmp/sealane-lab')


class Lab:
    def __init__(self, directory=DEFAULT_DIR):
        self.dir = os.path.abspath(directory)
        self.file = os.path.join(self.dir, 'lab.json')
        self.root = os.geteuid() == 0
        self.topology = None
        self.net = None
        self.nodes = []
        self.cuts = []
        self.options = {}
        self.guard = None
        if os.path.exists(self.file):
            self._load()

    def _load(self):
        with open(self.file) as f:
            state = json.load(f)
        self.topology, self.net = state['topology'], state['net']
        self.cuts, self.options = state['cuts'], state['options']
        self.nodes = [Node(self, topology.Spec(**s)) for s in state['nodes']]

    def save(self):
        state = {'topology': self.topology, 'net': self.net, 'cuts': self.cuts,
                 'options': self.options, 'nodes': [n.spec.save() for n in self.nodes]}
        with open(self.file + '.new', 'w') as f:
            json.dump(state, f, indent=1)
        os.replace(self.file + '.new', self.file)

    def node(self, name):
        if isinstance(name, Node):
            return name
        for n in self.nodes:
            if n.name == str(name):
                return n
        raise LabError('no node %s; there are %s'
                       % (name, ' '.join(n.name for n in self.nodes) or 'none'))

    __getitem__ = node

    def clusters(self):
        """Galera clusters: name -> nodes in order."""
        out = {}
        for n in self.nodes:
            if n.spec.galera:
                out.setdefault(n.spec.cluster, []).append(n)
        return out

    # ------------------------------------------------------------------ up
    def up(self, name, sst='rsync', full_sst=False, settings=(), provider='', use_tls=False,
           net_number=None, guarded=False):
        """Start a topology in fresh data directories; returns the seconds it took.

        settings: 'key=value' or 'NODE:key=value' lines for my.cnf; provider: options for
        wsrep_provider_options; guarded: take the lab down when this process ends.
        """
        start = time.monotonic()
        if any(n.pid for n in self.nodes):
            raise LabError('%s is up in %s; take it down first' % (self.topology, self.dir))
        topology.build(name, 1)                  # refuse an unknown name before touching files
        os.makedirs(self.dir, exist_ok=True)
        os.chmod(self.dir, 0o755)
        if guarded:
            self.guard = guard.watch(self.dir)
        self.options = {'sst': sst, 'provider': provider, 'set': list(settings), 'tls': use_tls}
        net.claim(self.dir, net_number, lambda number: self._define(name, number))
        if use_tls:
            self._make_certificates()
        if self.clusters():
            self._start_galera(full_sst)
        else:
            self._start_plain()
        return time.monotonic() - start

    def _define(self, name, number):
        self.topology, self.net, self.cuts = name, number, []
        self.nodes = [Node(self, spec) for spec in topology.build(name, number)]
        self.save()

    def _make_certificates(self):
        directory = os.path.join(self.dir, 'tls')
        tls.make_ca(directory)
        for n in self.nodes:
            tls.make_cert(directory, n.name, [n.ip], n.spec.uid if self.root else None)
        for name in ('proxy', 'client'):
            tls.make_cert(directory, name, ['127.0.0.1'])

    def _start_plain(self):
        source = template.plain(self)
        for n in self.nodes:
            n.fill(source)
            n.spawn()
        for n in self.nodes:
            n.wait()
        for n in self.nodes[1:]:
            self.link(n, self.nodes[0], position='')
            n.sql('SET GLOBAL read_only=ON')

    def _start_galera(self, full_sst):
        clusters = self.clusters()
        for members in clusters.values():
            first = members[0]
            for n in members:
                if full_sst:
                    n.fill(template.plain(self) if n is first else None)
                else:
                    n.fill(template.galera(self, n))
                    n.edit_grastate(n is first)
            first.spawn(bootstrap=True)
        for members in clusters.values():
            members[0].wait()
        # Two nodes that join one cluster in the same moment cost seconds of renegotiation:
        # one joiner per cluster at a time, the clusters side by side.
        for i in range(1, max(len(m) for m in clusters.values())):
            joiners = [m[i] for m in clusters.values() if i < len(m)]
            for n in joiners:
                n.spawn()
            for n in joiners:
                n.wait()

    # ------------------------------------------------------------------ down
    def down(self, wipe=False):
        """End every process of the lab, remove cuts; wipe: remove its files as well."""
        self._end_attached()
        self.heal()
        stray = [Node(self, n.spec) for n in self.nodes]   # templates that were being made
        for n in stray:
            if n.spec.galera:
                n.home = os.path.join(self.dir, 'template-' + n.spec.cluster)
        everything = list(reversed(self.nodes)) + stray
        for n in everything:
            n.terminate()
        for n in everything:
            n.wait_gone(30)
        if wipe:
            shutil.rmtree(self.dir, ignore_errors=True)
            if self.net is not None:
                net.release(self.net)
        if self.guard:
            guard.dismiss(self.guard)
            self.guard = None

    # ------------------------------------------------------------------ other processes
    def attach(self, name, argv, log, **kw):
        """Start a program that shall end with the lab (the daemon under test)."""
        with open(log, 'ab') as out:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                     start_new_session=True, **kw)
        with open(os.path.join(self.dir, name + '.attached'), 'w') as f:
            f.write('%d\n%s' % (child.pid, argv[0]))
        return child

    def _end_attached(self):
        if not os.path.isdir(self.dir):
            return
        for name in os.listdir(self.dir):
            if not name.endswith('.attached'):
                continue
            with open(os.path.join(self.dir, name)) as f:
                first, _, program = f.read().partition('\n')
            pid = int(first) if first.isdigit() else 0
            if pid and process_state(pid, program):
                os.kill(pid, 9)
            os.unlink(os.path.join(self.dir, name))

    # ------------------------------------------------------------------ replication
    def link(self, replica, primary, position=None, use='slave_pos', options=''):
        """Make replica replicate from primary by GTID (position: set gtid_slave_pos first)."""
        source = self.node(primary)
        text = 'STOP ALL SLAVES;'
        if position is not None:
            text += "SET GLOBAL gtid_slave_pos='%s';" % position
        text += ("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%d, MASTER_USER='repl_user', "
                 "MASTER_PASSWORD='SecretP@ssw0rd', MASTER_CONNECT_RETRY=2, "
                 "MASTER_USE_GTID=%s%s; START SLAVE"
                 % (source.ip, source.port, use, ', ' + options if options else ''))
        self.node(replica).sql(text)

    # ------------------------------------------------------------------ cuts
    def partition(self, names, peers=None, clients=False):
        """Cut nodes off from peers (default: all other nodes), and from clients if asked."""
        group = [self.node(x).name for x in names]
        others = [self.node(x).name for x in peers] if peers else \
                 [n.name for n in self.nodes if n.name not in group]
        for a in group:
            if clients:
                self.cuts.append([a, '*'])
            self.cuts += [[a, b] for b in others if a != b]
        net.cut(self.net, {n.name: n for n in self.nodes}, self.cuts)
        self.save()

    def heal(self):
        if self.net is None:
            return
        net.heal(self.net)
        self.cuts = []
        if os.path.isdir(self.dir):
            self.save()

    # ------------------------------------------------------------------ status
    def status(self, names=None):
        nodes = [self.node(x) for x in names] if names else self.nodes
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return dict(zip((n.name for n in nodes), pool.map(status.of, nodes)))
