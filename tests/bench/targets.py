# SPDX-License-Identifier: Apache-2.0
"""What is measured: the servers themselves, HAProxy, and sealaned with each of its routers.

All targets run for the whole bench, each as a process of its own with one worker thread; while one
is measured the others are idle.
"""
import os
import subprocess

from lab import net, sql
from sealane import Sealane, wait_until

HAPROXY = """global
    nbthread 1
    maxconn 8000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen galera
    bind 127.0.0.1:{port}
    balance leastconn
    option tcpka
"""


class Target:
    """name, address, and the pid whose CPU and memory count (None: the servers themselves)."""

    def __init__(self, name, host, port, pid=None, tls=False, stop=None, check=None):
        self.name, self.host, self.port, self.pid = name, host, port, pid
        self.tls = tls
        self.stop = stop or (lambda: None)
        self.check = check or (lambda: None)

    def cpu(self):
        """User and system seconds so far, all threads of the process."""
        if not self.pid:
            return 0.0, 0.0
        with open('/proc/%d/stat' % self.pid) as f:
            fields = f.read().rsplit(')', 1)[1].split()
        tick = os.sysconf('SC_CLK_TCK')
        return int(fields[11]) / tick, int(fields[12]) / tick

    def rss_kb(self):
        with open('/proc/%d/status' % self.pid) as f:
            for line in f:
                if line.startswith('VmRSS'):
                    return int(line.split()[1])
        return 0


def answers(host, port, ssl=None):
    conn = sql.connect(host=host, port=port, user='app', password='app', timeout=5) \
        if not ssl else sql.pymysql.connect(host=host, port=port, user='app', password='app',
                                            ssl={'ca': ssl}, connect_timeout=5)
    conn.close()
    return True


def direct(lab, work):
    node = lab.nodes[1]
    return Target('direct', node.ip, node.port)


def haproxy(lab, work):
    port = net.free_port('127.0.0.1', 16000)
    path = os.path.join(work, 'haproxy.cfg')
    with open(path, 'w') as f:
        f.write(HAPROXY.format(port=port))
        for n in lab.nodes[1:]:
            f.write('    server s%s %s:%d\n' % (n.name, n.ip, n.port))
    child = lab.attach('haproxy', ['/usr/sbin/haproxy', '-db', '-f', path],
                       os.path.join(work, 'haproxy.log'))
    wait_until(lambda: answers('127.0.0.1', port), 10, 'HAProxy answers')

    def stop():
        child.terminate()
        child.wait(10)
    return Target('haproxy', '127.0.0.1', port, child.pid, stop=stop)


def replicas(lab):
    """Every proxy serves the point selects from the same two nodes, those HAProxy has."""
    return {'servers': ','.join('Galera-' + n.name for n in lab.nodes[1:])}


def sealane(name, router, service=None, tls=False, env=None):
    """A maker of a sealaned target."""
    def make(lab, work):
        s = Sealane(os.path.join(work, name), lab)
        s.port = net.free_port('127.0.0.1', 16000)
        listener = {}
        if tls:
            d = lab.dir + '/tls/'
            listener = {'ssl': 'true', 'ssl_cert': d + 'proxy.pem', 'ssl_key': d + 'proxy.key',
                        'ssl_ca': d + 'ca.pem'}
        s.write(router=router, service=service(lab) if callable(service) else service,
                listener=listener, globals_={'log_info': 'false', 'admin_port': s.admin_port},
                monitor={'monitor_interval': '2s'})
        old = {k: os.environ.get(k) for k in env or {}}
        os.environ.update(env or {})
        try:
            s.start()
        finally:
            for k, v in old.items():
                os.environ.pop(k, None) if v is None else os.environ.update({k: v})
        s.wait_healthy()
        ca = lab.dir + '/tls/ca.pem' if tls else None
        wait_until(lambda: answers('127.0.0.1', s.port, ca), 10, '%s answers' % name)

        def check():
            assert s.process.poll() is None, '%s died:\n%s' % (name, s.tail())
        return Target(name, '127.0.0.1', s.port, s.process.pid, tls, s.stop, check)
    return make


RWS = {'slave_connections': '1', 'max_slave_connections': '1'}
MAKERS = {
    'direct': direct,
    'haproxy': haproxy,
    'tcp': sealane('tcp', 'tcp', replicas),
    'readconnroute': sealane('readconnroute', 'readconnroute', {'router_options': 'slave'}),
    'readwritesplit': sealane('readwritesplit', 'readwritesplit', RWS),
    'rws-send': sealane('rws-send', 'readwritesplit', RWS, env={'SEALANE_FLUSH': 'send'}),
    'rws-tls': sealane('rws-tls', 'readwritesplit', RWS, tls=True),
}

TITLES = {
    'direct': 'no proxy', 'haproxy': 'HAProxy `mode tcp`', 'tcp': 'sealaned `tcp`',
    'readconnroute': 'sealaned `readconnroute`', 'readwritesplit': 'sealaned `readwritesplit`',
    'rws-send': '`readwritesplit`, plain `send`', 'rws-tls': '`readwritesplit`, TLS clients',
}


def haproxy_version():
    p = subprocess.run(['haproxy', '-v'], stdout=subprocess.PIPE, text=True)
    return p.stdout.split()[2] if p.returncode == 0 else 'unknown'
