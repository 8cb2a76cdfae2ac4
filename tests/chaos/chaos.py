# SPDX-License-Identifier: Apache-2.0
"""Torture with a checker: an application goes on while its database servers die, then every node
is compared with what the application was told.

  tests/chaos/run --seconds 600 --topology galera --replay on [--seed N] [--write]

Exit code: 0 nothing wrong, 1 a figure that must be 0 is not, 2 the servers did not recover.
"""
import argparse
import os
import random
import shutil
import sys
import tempfile

import report
from checker import check
from journal import Journal
from lab import Lab
from nemesis import REPLICA_SETTINGS, GaleraNemesis, ReplicaNemesis
from sealane import SEALANED, SHORT_TIMEOUTS, Sealane, wait_applied
from workers import SCHEMA, Crew

# of the lab, its settings, who torments it
TOPOLOGIES = {'galera': ('galera3', [], GaleraNemesis),
              'replicas': ('repl3', REPLICA_SETTINGS, ReplicaNemesis)}
REPLAY = {'transaction_replay': 'true', 'transaction_replay_retry_on_deadlock': 'true',
          'delayed_retry': 'true', 'delayed_retry_timeout': '60s',
          'transaction_replay_timeout': '60s', 'master_reconnection': 'true',
          'master_failure_mode': 'error_on_write',
          'slave_selection_criteria': 'ADAPTIVE_ROUTING'}


class Run:
    """One run: its servers, its daemon, its workers, its nemesis."""

    def __init__(self, lab, sealane, topology, seed, workers=8, replay=False, causal=None,
                 pace=1.0, service=None):
        self.lab, self.sealane = lab, sealane
        self.topology, self.seed, self.workers = topology, seed, workers
        self.replay, self.causal, self.pace = replay, causal, pace
        self.extra = dict(service or {})
        self.journal = Journal()
        self.findings = self.nemesis = None

    def service(self):
        values = dict(REPLAY) if self.replay else {}
        if self.causal:
            values['causal_reads'] = self.causal
        values.update(self.extra)
        return values

    def prepare(self):
        self.lab.nodes[0].sql(SCHEMA)
        self.sealane.write(service=self.service(), monitor=SHORT_TIMEOUTS)
        self.sealane.start()
        self.journal = Journal()
        self.nemesis = TOPOLOGIES[self.topology][2](self.seed, self.journal, self.lab,
                                                    self.sealane, self.pace)
        self.nemesis.recover('the start')
        if self.lab.clusters():                  # what is read first may be read on any node
            wait_applied(self.lab.nodes)

    def torture(self, seconds):
        crew = Crew(self.workers, self.seed, self.journal, self.sealane.port, bool(self.causal))
        crew.start()
        self.nemesis.start()
        self.nemesis.join(seconds)
        self.nemesis.end.set()
        self.nemesis.join()
        crew.stop()

    def go(self, seconds):
        """True if every figure that must be 0 is 0."""
        self.prepare()
        self.torture(seconds)
        self.findings = check(self.journal, [n for n in self.lab.nodes if n.ready()])
        return self.findings.clean()


def arguments():
    p = argparse.ArgumentParser(description='Torture of readwritesplit with a checker.')
    p.add_argument('--seconds', type=float, default=60)
    p.add_argument('--seed', type=int, default=random.randrange(1 << 31))
    p.add_argument('--topology', choices=list(TOPOLOGIES), default='galera')
    p.add_argument('--replay', choices=['on', 'off'], default='off')
    p.add_argument('--causal', metavar='MODE', help='causal_reads; stale reads become violations')
    p.add_argument('--workers', type=int, default=8)
    p.add_argument('--pace', type=float, default=1.0, help='factor of the pauses between faults')
    p.add_argument('--service', action='append', default=[], metavar='KEY=VALUE',
                   help='more settings of the service')
    p.add_argument('--journal', metavar='FILE', help='write every operation, one JSON a line')
    p.add_argument('--keep', metavar='DIR', help='keep the log of sealaned there')
    p.add_argument('--write', action='store_true', help='write docs/reliability.md')
    return p.parse_args()


def main():
    args = arguments()
    print('seed %d' % args.seed, flush=True)
    print('sealaned: %s' % SEALANED, flush=True)
    work = tempfile.mkdtemp(prefix='sealane-chaos-')
    os.chmod(work, 0o755)
    lab = Lab(os.path.join(work, 'lab'))
    try:
        name, settings, _ = TOPOLOGIES[args.topology]
        lab.up(name, settings=settings, guarded=True)
        sealane = Sealane(os.path.join(work, 'sealane'), lab)
        try:
            return carry_out(args, lab, sealane)
        finally:
            if args.keep:
                os.makedirs(args.keep, exist_ok=True)
                with open(os.path.join(args.keep, 'sealaned.log'), 'w') as f:
                    f.write(sealane.log_text())
            sealane.abandon()
    finally:
        lab.down(wipe=True)
        shutil.rmtree(work, ignore_errors=True)


def carry_out(args, lab, sealane):
    run = Run(lab, sealane, args.topology, args.seed, args.workers, args.replay == 'on',
              args.causal, args.pace, dict(s.split('=', 1) for s in args.service))
    clean = run.go(args.seconds)
    sealane.stop()
    if args.journal:
        run.journal.save(args.journal)
    report.show(run)
    if run.nemesis.broken:
        print('the servers did not recover: ' + run.nemesis.broken)
        return 2
    if args.write:
        report.write(run, args.seconds)
    return 0 if clean else 1
