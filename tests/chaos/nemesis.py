# SPDX-License-Identifier: Apache-2.0
"""What happens to the servers: one victim at a time, chosen by a seed, and healed before the next.

A fault is a generator: it does its damage, yields how long that shall last, and repairs.  After
each fault the nemesis waits, with a deadline, until the cluster is whole and sealaned knows it.
"""
import random
import threading
import time

from lab import template
from lab.sql import Error as SqlError
from lab.errors import LabError
from sealane import wait_until

RECOVERY_S, STEADY_S = 120, 1.5
# A killed server must find its redo again; only a dead machine may lose something.
DURABLE = 'SET GLOBAL innodb_flush_log_at_trx_commit=2'
# Only the primary waits for replicas: a replica whose own commits wait for a replica of its own
# stands still for the whole timeout once.  That is longer than a machine may stand still: a primary
# that goes on without its replicas takes what it acknowledges with it.
REPLICA_SETTINGS = ['rpl_semi_sync_master_enabled=OFF', 'rpl_semi_sync_master_timeout=30000']
# Without its own limit it waits for a transaction that waits for a row of one that waits for it.
READ_ONLY = 'SET SESSION lock_wait_timeout=1; SET GLOBAL read_only=ON'
ACKNOWLEDGE = 'SET GLOBAL rpl_semi_sync_master_enabled=%s'


class Nemesis(threading.Thread):
    """Takes one fault after the other until told to end; `broken` says why it could not go on."""

    def __init__(self, seed, journal, lab, sealane, pace):
        super().__init__(daemon=True)
        self.rng = random.Random('%s/nemesis' % seed)
        self.journal, self.lab, self.sealane, self.pace = journal, lab, sealane, pace
        self.end = threading.Event()
        self.broken = None
        self.done = {}                           # fault -> how often

    def faults(self):
        """(generator function, weight) of each."""
        raise NotImplementedError

    def whole(self):
        raise NotImplementedError

    def rescue(self):
        """Called once when recovery does not come by itself."""

    def run(self):
        try:
            while not self.end.wait(self.rng.uniform(0.5, 2) * self.pace):
                self.strike()
        except (AssertionError, LabError, SqlError, OSError) as e:
            self.broken = repr(e)[:2000]
            self.journal.event('BROKEN ' + self.broken)

    def strike(self):
        faults, weights = zip(*self.faults())
        fault = self.rng.choices(faults, weights)[0]
        victim = self.choose(fault)
        name = fault.__name__.replace('_', ' ')
        role = 'the primary' if victim is self.primary() else 'a replica'
        self.journal.event('%s %s (%s)' % (name, victim.name, role))
        self.done[name] = self.done.get(name, 0) + 1
        for seconds in fault(victim):
            self.end.wait(seconds * self.pace)
        self.recover(name)

    def choose(self, fault):
        """The primary in half of the cases."""
        primary = self.primary()
        if primary and self.rng.random() < 0.5:
            return primary
        return self.rng.choice(self.replicas())

    def replicas(self):
        return [n for n in self.lab.nodes if n is not self.primary()]

    def recover(self, name):
        try:
            self.wait_whole('whole again after ' + name)
        except AssertionError:
            self.journal.event('rescue')
            self.rescue()
            self.wait_whole('whole after a rescue from ' + name)
        for n in self.lab.nodes:                 # those that started anew have the lab's value
            n.sql(DURABLE)
        self.journal.event('whole')

    def wait_whole(self, what):
        """Whole for a while: a node just thawed still shows the view it slept in."""
        since = [None]

        def steady():
            if not self.whole():
                since[0] = None
                return False
            since[0] = since[0] or time.monotonic()
            return time.monotonic() - since[0] >= STEADY_S
        wait_until(steady, RECOVERY_S, what)

    def server(self, node):
        return [k for k, n in self.sealane.servers(self.prefix).items() if n is node][0]

    # ------------------------------------------------------------------ faults of any topology
    def maintenance(self, node):
        self.sealane.set_state(self.server(node), 'maintenance')
        yield self.rng.uniform(1, 4)
        self.sealane.set_state(self.server(node), 'maintenance', clear=True)

    def drain(self, node):
        self.sealane.set_state(self.server(node), 'drain')
        yield self.rng.uniform(1, 4)
        self.sealane.set_state(self.server(node), 'drain', clear=True)


class GaleraNemesis(Nemesis):
    prefix = 'Galera-'

    def faults(self):
        out = [(self.kill, 4), (self.stop, 3), (self.freeze, 3), (self.maintenance, 2),
               (self.drain, 2), (self.reject, 1)]
        if self.lab.root:
            out += [(self.cut_off, 2), (self.cut_off_from_all, 1)]
        return out

    def primary(self):
        return self.sealane.servers().get(self.sealane.master())

    def choose(self, fault):
        """A monitored Master cannot be drained, only put into maintenance."""
        return self.rng.choice(self.replicas()) if fault == self.drain else super().choose(fault)

    def whole(self):
        said = [n.wsrep() if n.ready() else {} for n in self.lab.nodes]
        views = {(w.get('wsrep_cluster_conf_id'), w.get('wsrep_cluster_size')) for w in said}
        return (len(views) == 1 and said[0].get('wsrep_cluster_size') == str(len(said)) and
                all({'Synced', 'Running'} <= set(s.split(', '))
                    for s in self.sealane.states().values()) and self.primary())

    def rescue(self):
        """A node that stays outside (seen with stalls of the machine) is started again."""
        self.lab.heal()
        for n in self.lab.nodes:
            if n.frozen:
                n.thaw()
            if not n.ready():
                n.kill()
                n.start(timeout=RECOVERY_S)

    def kill(self, node):
        """-9, and back after a while: at once or when the others have noticed."""
        node.kill()
        yield self.rng.choice([0, self.rng.uniform(1, 8)])
        node.start()

    def stop(self, node):
        node.stop()
        yield self.rng.uniform(0, 3)
        node.start()

    def freeze(self, node):
        node.freeze()
        yield self.rng.choice([self.rng.uniform(0.2, 3), self.rng.uniform(6, 10)])
        node.thaw()

    def cut_off(self, node):
        """From the other nodes; clients still reach it."""
        self.lab.partition([node.name])
        yield self.rng.uniform(2, 10)
        self.lab.heal()

    def cut_off_from_all(self, node):
        self.lab.partition([node.name], clients=True)
        yield self.rng.uniform(2, 10)
        self.lab.heal()

    def reject(self, node):
        """The server's own way to be taken out of use."""
        node.sql('SET GLOBAL wsrep_reject_queries=ALL')
        yield self.rng.uniform(1, 3)
        node.sql('SET GLOBAL wsrep_reject_queries=NONE')


class ReplicaNemesis(Nemesis):
    """Primary and two semi-synchronous replicas.

    No monitor looks after them: this class plays the operator and tells sealaned the roles.
    """
    prefix = 'server-'

    def __init__(self, *args):
        super().__init__(*args)
        self.acting = self.lab.nodes[0]
        self.acting.sql(ACKNOWLEDGE % 'ON')
        self.announce()

    def faults(self):
        return [(self.switch, 5), (self.kill_replica, 2), (self.fail_over, 3), (self.freeze, 2),
                (self.maintenance, 2), (self.drain, 2)]

    def primary(self):
        return self.acting

    def choose(self, fault):
        if fault == self.fail_over:
            return self.acting
        if fault in (self.kill_replica, self.switch):
            return self.rng.choice(self.replicas())
        return super().choose(fault)

    def announce(self):
        """The roles as they are now; the old primary goes first: never two Masters."""
        for n in self.replicas():
            self.sealane.set_state(self.server(n), 'master', clear=True)
            for state in ('running', 'slave') if n.pid else ():
                self.sealane.set_state(self.server(n), state)
        self.sealane.set_state(self.server(self.acting), 'slave', clear=True)
        for state in ('running', 'master'):
            self.sealane.set_state(self.server(self.acting), state)

    def tell(self, node, state, clear=False):
        self.sealane.set_state(self.server(node), state, clear)

    def caught_up(self, node, position):
        return node.value("SELECT MASTER_GTID_WAIT('%s', 1)" % position) == '0'

    def whole(self):
        position = self.acting.value('SELECT @@gtid_binlog_pos')
        for n in self.replicas():
            said = dict(zip(*self.status(n)))
            if (said['Slave_IO_Running'], said['Slave_SQL_Running']) != ('Yes', 'Yes'):
                return False
            if said['Master_Host'] != self.acting.ip or not self.caught_up(n, position):
                return False
        clients = self.acting.sql("SHOW STATUS LIKE 'Rpl_semi_sync_master_%'")
        return {('Rpl_semi_sync_master_clients', '2'),
                ('Rpl_semi_sync_master_status', 'ON')} <= {tuple(c) for c in clients}

    @staticmethod
    def status(node):
        return [(names, rows[0]) for names, rows in node.results('SHOW SLAVE STATUS')][0]

    def rescue(self):
        for n in self.replicas():
            if n.frozen:
                n.thaw()
            self.rebuild(n)
        self.announce()

    def switch(self, new):
        """As an operator does it by hand: read_only, wait, promote, announce, repoint."""
        old = self.acting
        wait_until(lambda: old.sql(READ_ONLY) == [], 60, 'read_only')
        yield self.rng.choice([0, self.rng.uniform(0, 1)])
        position = old.value('SELECT @@gtid_binlog_pos')
        wait_until(lambda: self.caught_up(new, position), 90, 'the new primary has everything')
        self.promote(new)
        old.sql(ACKNOWLEDGE % 'OFF')
        self.lab.link(old, new, use='current_pos')

    def promote(self, new):
        new.sql('STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only=OFF;' + ACKNOWLEDGE % 'ON')
        self.acting = new
        self.announce()
        for n in self.replicas():
            if n.pid and not n.frozen and n.value('SELECT @@read_only') == '1' and \
                    n.results('SHOW SLAVE STATUS')[0][1]:
                self.lab.link(n, new)

    def kill_replica(self, node):
        node.kill()
        self.tell(node, 'running', clear=True)
        yield self.rng.uniform(0, 3)
        node.start()
        node.sql('SET GLOBAL read_only=ON')
        self.tell(node, 'running')

    def fail_over(self, old):
        """The primary dies for good; the replica that has more becomes primary."""
        old.kill()
        self.tell(old, 'running', clear=True)
        yield self.rng.uniform(0, 2)
        for n in self.replicas():
            n.sql('STOP SLAVE IO_THREAD')
            said = dict(zip(*self.status(n)))
            wait_until(lambda n=n, p=said['Gtid_IO_Pos']: self.caught_up(n, p), 90, 'relay log')
        new = max(self.replicas(), key=self.sequence)
        self.promote(new)
        self.rebuild(old)
        self.announce()

    @staticmethod
    def sequence(node):
        position = node.value('SELECT @@gtid_slave_pos')
        return int(position.rsplit('-', 1)[1]) if position else 0

    def rebuild(self, node):
        """A server that may have what nobody else has starts again from nothing: it is no replica
        before it has everything."""
        self.tell(node, 'running', clear=True)
        node.kill()
        node.fill(template.plain(self.lab))
        node.start()
        self.lab.link(node, self.acting, position='')
        node.sql('SET GLOBAL read_only=ON')
        position = self.acting.value('SELECT @@gtid_binlog_pos')
        wait_until(lambda: self.caught_up(node, position), RECOVERY_S, 'the rebuilt server is a replica')

    def freeze(self, node):
        node.freeze()
        yield self.rng.uniform(0.2, 3)
        node.thaw()
