# SPDX-License-Identifier: Apache-2.0
"""Configuration: all errors in one pass, and nothing started; the documents' files start."""
import os
import signal

import pytest

from lab.demo import CONFIG_HEAD, CONFIG_SERVER, CONFIG_TAIL
from sealane import section, wait_until

BAD = """[maxscale]
threads=many
admin_prot=1

[a]
type=server
address=127.0.0.1
port=70000

[a]
type=server
address=127.0.0.1

[m]
type=monitor
module=galeramom
servers=a,b
user=x
password=y

[s]
type=service
router=readwritesplit
servers=a
user=x
password=y
master_failure_mode=fail_sometimes
max_sescmd_history=-3
delayed_retry_timeout=10 parsecs

[l]
type=listener
service=t
port=14999
"""


@pytest.fixture
def daemon(single, make_sealane):
    return make_sealane(single, start=False)


def test_every_error_is_told_in_one_pass(daemon):
    daemon.write_text(BAD)
    code, text = daemon.config_check()
    assert code == 1
    for word in ('threads', 'admin_prot', 'admin_port', '70000', 'galeramom', 'galeramon',
                 'fail_sometimes', 'fail_on_write', 'max_sescmd_history', 'parsecs',
                 'maxscale.cnf:2', 'maxscale.cnf:3'):
        assert word in text, '%s is not mentioned in:\n%s' % (word, text)


def test_bad_configuration_starts_nothing(daemon):
    daemon.write_text(BAD)
    daemon.start(wait=False)
    assert daemon.process.wait(60) == 1
    daemon.process = None
    assert not os.path.exists(daemon.dir + '/var/run/maxscale/maxscale.pid')


@pytest.mark.parametrize('text, words', [
    ('', ['maxscale.cnf']),
    ('[x]\ntype=server\naddress=1.2.3.4\nsocket=/tmp/s\n', ['address', 'socket']),
    ('[x y]\ntype=server\naddress=1.2.3.4\n', ['x y']),
    ('[@@x]\ntype=server\naddress=1.2.3.4\n', ['@@x']),
    ('[x]\ntype=sever\n', ['sever', 'server']),
    ('[x]\naddress=1.2.3.4\n', ['type']),
    ('key=value\n', ['maxscale.cnf:1']),
    ('[x\ntype=server\n', ['maxscale.cnf:1']),
    ('[s]\ntype=service\nrouter=readwritesplit\n', ['user', 'password']),
    ('[s]\ntype=service\nrouter=nosuchrouter\nuser=a\npassword=b\n', ['nosuchrouter']),
    ('[l]\ntype=listener\nservice=nosuch\nport=1\n', ['nosuch']),
])
def test_single_errors(daemon, text, words):
    daemon.write_text(text)
    code, out = daemon.config_check()
    if text:
        assert code == 1, out
    for word in words if code else []:
        assert word in out, out


def test_the_documented_galera_configuration_is_accepted(daemon):
    text = CONFIG_HEAD.format(admin=daemon.admin_port)
    for i in (1, 2, 3):
        text += CONFIG_SERVER.format(name='7%d' % i, ip='127.0.0.1', port=3306 + i, priority=i)
    daemon.write_text(text + CONFIG_TAIL.format(port=daemon.port))
    code, out = daemon.config_check()
    assert code == 0, out
    assert 'error' not in out.lower()


def test_missing_module_is_refused_by_name(daemon):
    text = section('a', type='server', address='127.0.0.1')
    text += section('R', type='service', router='binlogrouter', servers='a', user='u',
                    password='p', expire_log_duration='72h', select_master='true')
    daemon.write_text(text)
    code, out = daemon.config_check()
    assert code in (0, 1) and (code == 0 or 'binlogrouter' in out)


def test_config_check_says_nothing_bad_about_a_good_file(daemon):
    code, out = daemon.config_check()
    assert code == 0, out


def test_second_instance_is_refused(daemon):
    daemon.start()
    first = daemon.process
    daemon.start(wait=False)
    assert daemon.process.wait(60) != 0
    daemon.process = first
    assert daemon.get('/servers')


def test_signals(daemon):
    """USR1 reopens the log, HUP is ignored, TERM ends it."""
    daemon.start()
    for number in (signal.SIGHUP, signal.SIGUSR1):
        daemon.process.send_signal(number)
        wait_until(lambda: daemon.get('/maxscale'), 5, 'it still answers')
    daemon.stop()


def test_password_encryption(single, make_sealane, run):
    """sealanekeys and sealanepasswd: an encrypted password in the file works."""
    s = make_sealane(single, start=False)
    bin_dir = os.path.dirname(s.argv()[0])
    keys = os.path.join(s.dir, 'keys')
    os.makedirs(keys)
    if not os.path.exists(bin_dir + '/sealanekeys'):
        pytest.skip('sealanekeys is not built')
    run([bin_dir + '/sealanekeys', '-u', 'root' if os.geteuid() == 0 else os.environ['USER'], keys])
    secret = run([bin_dir + '/sealanepasswd', keys, 'SecretP@ssw0rd']).strip()
    assert len(secret) == 96 or len(secret) == 64
    s.write(globals_={'secretsdir': keys}, service={'password': secret})
    s.start()
    s.set_state('server-91', 'master')
    s.set_state('server-91', 'running')
    single.nodes[0].sql('CREATE DATABASE IF NOT EXISTS test')
    wait_until(lambda: s.wire().value('SELECT 1') == '1', 10, 'a login')
