# SPDX-License-Identifier: Apache-2.0
"""Throw-away certificates: one authority per lab, one certificate per node, `proxy` and `client`."""
import os
import subprocess


def _openssl(*args):
    subprocess.run(('openssl',) + args, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)


def make_ca(directory):
    os.makedirs(directory, exist_ok=True)
    if not os.path.exists(directory + '/ca.pem'):
        _openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                 '-keyout', directory + '/ca.key', '-out', directory + '/ca.pem', '-days', '30',
                 '-subj', '/CN=Sealane lab authority')


def make_cert(directory, name, ips=(), uid=None):
    """directory/NAME.pem and NAME.key, signed by the lab's authority."""
    base = os.path.join(directory, name)
    if os.path.exists(base + '.pem'):
        return
    names = ','.join(['DNS:localhost'] + ['IP:' + ip for ip in ips])
    with open(base + '.ext', 'w') as f:
        f.write('subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' % names)
    _openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
             '-keyout', base + '.key', '-out', base + '.csr', '-subj', '/CN=' + name)
    _openssl('x509', '-req', '-in', base + '.csr', '-CA', directory + '/ca.pem',
             '-CAkey', directory + '/ca.key', '-CAcreateserial', '-days', '30',
             '-extfile', base + '.ext', '-out', base + '.pem')
    for end in ('.csr', '.ext'):
        os.unlink(base + end)
    os.chmod(base + '.key', 0o600)
    if uid is not None:
        os.chown(base + '.key', uid, uid)
