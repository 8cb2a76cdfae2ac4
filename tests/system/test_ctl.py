# SPDX-License-Identifier: Apache-2.0
"""sealanectl: the tables of the documents, --tsv, exit codes, set and clear."""
import re
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from sealane import SEALANECTL


def cells(line):
    return [c.strip() for c in line.strip('│').split('│')]


def test_list_servers_is_the_documents_table(sealane, cluster):
    text = sealane.ctl('list', 'servers')
    lines = text.strip().splitlines()
    assert lines[0].startswith('┌') and lines[0].endswith('┐')
    assert cells(lines[1])[:6] == ['Server', 'Address', 'Port', 'Connections', 'State', 'GTID']
    rows = [cells(x) for x in lines[3::2]]
    assert [r[0] for r in rows] == ['Galera-71', 'Galera-72', 'Galera-73']
    assert [r[4] for r in rows] == ['Master, Synced, Running'] + ['Slave, Synced, Running'] * 2
    for row, node in zip(rows, cluster.nodes):
        assert row[1] == node.ip and row[2] == str(node.port)
        # A cluster whose first node was killed and came back names one more domain.
        assert any(re.fullmatch(r'70-7000-\d+', gtid) for gtid in row[5].split(',')), row
    assert lines[2].startswith('├') and lines[-1].startswith('└')
    assert '\x1b' not in text


def test_tsv(sealane):
    rows = [x.split('\t') for x in sealane.ctl('--tsv', 'list', 'servers').strip().split('\n')]
    assert [r[0] for r in rows] == ['Galera-71', 'Galera-72', 'Galera-73']
    assert rows[0][4] == 'Master, Synced, Running'
    assert sealane.ctl('list', 'servers', '--tsv') == sealane.ctl('--tsv', 'list', 'servers')


@pytest.mark.parametrize('kind, columns', [
    ('services', ['Service', 'Router', 'Connections', 'Total Connections', 'Targets']),
    ('listeners', ['Name', 'Port', 'Host', 'State', 'Service']),
    ('monitors', ['Monitor', 'State', 'Servers']),
    ('sessions', ['Id', 'User', 'Host', 'Connected', 'Idle', 'Service', 'Memory', 'I/O-Activity']),
    ('threads', ['Id', 'Current FDs', 'Total FDs', 'Load (1s)', 'Load (1m)', 'Load (1h)']),
    ('modules', ['Module', 'Type', 'Version']),
    ('users', ['Name', 'Type', 'Privileges', 'Created', 'Last Updated', 'Last Login']),
    ('filters', ['Filter', 'Service', 'Module']),
])
def test_list_columns(sealane, kind, columns):
    lines = sealane.ctl('list', kind).splitlines()
    assert cells(lines[1]) == columns


def test_list_sessions_shows_a_client(sealane):
    with sealane.wire():
        row = sealane.ctl('--tsv', 'list', 'sessions').strip().split('\t')
        assert row[1] == 'app' and row[2] == '127.0.0.1' and row[5] == 'Service'


@pytest.mark.parametrize('args', [
    ('show', 'server', 'Galera-71'), ('show', 'service', 'Service'),
    ('show', 'monitor', 'Monitor'), ('show', 'listener', 'Listener'), ('show', 'maxscale'),
    ('show', 'threads'), ('show', 'module', 'readwritesplit'), ('show', 'servers'),
    ('show', 'services'), ('show', 'sessions')])
def test_show(sealane, args):
    text = sealane.ctl(*args)
    assert len(args) < 3 or args[2] in text


def test_exit_codes(sealane):
    assert sealane.ctl('show', 'server', 'nosuch', check=False).returncode == 1
    assert sealane.ctl('list', 'nonsense', check=False).returncode == 1
    assert sealane.ctl('--nonsense', 'list', 'servers', check=False).returncode == 1
    p = sealane.ctl('show', 'server', 'nosuch', check=False)
    assert '404' in p.stderr and p.stdout == ''
    p = subprocess.run([SEALANECTL, '-h', '127.0.0.1:1', 'list', 'servers'],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 1 and '127.0.0.1:1' in p.stderr
    p = sealane.ctl('-u', 'admin', '-p', 'wrong', 'list', 'servers', check=False)
    assert p.returncode == 1 and '401' in p.stderr


def test_set_and_clear(sealane):
    assert sealane.ctl('set', 'server', 'Galera-72', 'maintenance').strip() == 'OK'
    assert 'Maintenance' in sealane.ctl('--tsv', 'list', 'servers').split('\n')[1]
    assert sealane.ctl('clear', 'server', 'Galera-72', 'maintenance').strip() == 'OK'
    sealane.wait_healthy()
    p = sealane.ctl('set', 'server', 'Galera-72', 'nonsense', check=False)
    assert p.returncode == 1 and 'nonsense' in p.stderr and p.stdout == ''


def test_config_file(sealane, tmp_path):
    path = tmp_path / 'ctl.cnf'
    path.write_text('[maxctrl]\nh = 127.0.0.1:%d\ntsv = true\n' % sealane.admin_port)
    path.chmod(0o600)
    p = subprocess.run([SEALANECTL, '-c', str(path), 'list', 'servers'], stdout=subprocess.PIPE,
                       text=True)
    assert p.returncode == 0 and p.stdout.startswith('Galera-71\t')
    path.chmod(0o644)
    assert subprocess.run([SEALANECTL, '-c', str(path), 'list', 'servers'],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE).returncode == 1


# ---------------------------------------------------------------------- REST
def test_rest_authentication(sealane):
    assert sealane.request('GET', '/servers', user='admin', password='no')[0] == 401
    assert sealane.request('GET', '/nosuch')[0] == 404
    code, body = sealane.request('GET', '/servers/nosuch')
    assert code == 404 and (body is None or body['errors'])
    assert sealane.request('PUT', '/servers/Galera-72/set?state=nonsense')[0] == 400


def test_metrics(sealane):
    with sealane.wire() as c:
        c.query('SELECT 1')
        code, text = None, ''
        for path in ('/metrics', '/v1/metrics'):
            try:
                req = urllib.request.Request('http://127.0.0.1:%d%s' % (sealane.admin_port, path),
                                             headers={'Authorization':
                                                      'Basic YWRtaW46bWFyaWFkYg=='})
                with urllib.request.urlopen(req, timeout=60) as answer:
                    code, text = answer.status, answer.read().decode()
                    break
            except urllib.error.HTTPError:
                continue
        assert code == 200 and 'Galera-71' in text


def test_idle_daemon_uses_little_cpu(sealane):
    start, at = sum(sealane.cpu_s()), time.monotonic()
    while time.monotonic() < at + 5:
        time.sleep(0.5)                       # a measurement over time, not a wait for a state
    used = sum(sealane.cpu_s()) - start
    assert used < 0.05 * (time.monotonic() - at)
