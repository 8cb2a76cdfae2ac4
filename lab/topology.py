# SPDX-License-Identifier: Apache-2.0
"""What can be started: the table of topologies, and the description of one server in it.

Every server has its own loopback address 127.NET.C.I and the same ports as all others, so several
labs (each with its own NET) run beside each other.  The SST port differs per node, since the socat
of mariabackup listens on all addresses.
"""
from dataclasses import dataclass, asdict
from typing import Optional

from .errors import LabError

SQL_PORT = 33070
GROUP_PORT = 4567
IST_PORT = 4568

NAMES = ('single', 'repl3', 'repl11', 'galera2', 'galera3', 'galera2x3')


@dataclass
class Spec:
    """One server, as saved in lab.json."""
    name: str
    ip: str
    uid: int
    sst_port: int
    server_id: int
    port: int = SQL_PORT
    cluster: Optional[str] = None          # name of its Galera cluster
    binlog: bool = True
    gtid_domain: int = 0
    wsrep_domain: Optional[int] = None     # wsrep_gtid_mode is on when it is set
    semisync: bool = False

    @property
    def galera(self):
        return self.cluster is not None

    def save(self):
        return asdict(self)


def _spec(net, number, subnet, host, **settings):
    settings.setdefault('server_id', number)
    return Spec(name=str(number), ip='127.%d.%d.%d' % (net, subnet, host),
                uid=70000 + net * 1000 + number, sst_port=4400 + number, **settings)


def _galera3(net, subnet, cluster):
    domain = subnet * 10
    return [_spec(net, domain + i, subnet, i, cluster=cluster, server_id=domain * 100,
                  gtid_domain=domain + i, wsrep_domain=domain) for i in (1, 2, 3)]


def build(name, net):
    """The servers of a topology, in the order in which they start."""
    if name == 'single':
        return [_spec(net, 91, 9, 1, server_id=1)]
    if name == 'repl3':
        return [_spec(net, 40 + i, 4, i, server_id=i, semisync=True) for i in (1, 2, 3)]
    if name == 'repl11':
        return [_spec(net, 400 + i, 5, i, server_id=i, semisync=True) for i in range(1, 12)]
    if name == 'galera2':
        return [_spec(net, 20 + i, 2, i, cluster='mariadb-galera-cluster', binlog=False,
                      server_id=1) for i in (1, 2)]
    if name == 'galera3':
        return _galera3(net, 7, 'primary')
    if name == 'galera2x3':
        return _galera3(net, 7, 'primary') + _galera3(net, 8, 'dr')
    raise LabError('unknown topology %s; there are %s' % (name, ', '.join(NAMES)))


def addresses(net):
    """Every address that any topology of this NET may use."""
    return ['127.%d.%d.%d' % (net, c, i) for c in (2, 4, 5, 7, 8, 9)
            for i in range(1, 12 if c == 5 else 4)]
