# SPDX-License-Identifier: Apache-2.0
"""Short runs of tests/chaos: nothing lost, nothing done twice, whatever happens to the servers.

How many errors clients see depends on the moment and is only printed.
"""
import os
import sys

import pytest

from lab import Lab
from sealane import ROOT

sys.path.append(os.path.join(ROOT, 'tests', 'chaos'))
import report                                    # noqa: E402  (the path has to be set first)
from chaos import TOPOLOGIES, Run                # noqa: E402

SECONDS = 20


@pytest.fixture
def servers(request, work):
    """The lab of a topology, as chaos.py starts it."""
    if request.param == 'galera':
        yield request.param, request.getfixturevalue('cluster')
        return
    name, settings, _ = TOPOLOGIES[request.param]
    lab = Lab(os.path.join(work, 'chaos'))
    try:
        lab.up(name, settings=settings, guarded=True)
        yield request.param, lab
    finally:
        lab.down(wipe=True)


@pytest.mark.slow
@pytest.mark.parametrize('servers, seed, replay', [('galera', 21, True), ('galera', 23, False),
                                                   ('replicas', 22, True)], indirect=['servers'])
def test_torture(servers, seed, replay, make_sealane, capsys):
    topology, lab = servers
    run = Run(lab, make_sealane(lab, start=False), topology, seed, replay=replay, pace=0.4)
    run.go(SECONDS)
    with capsys.disabled():
        print()
        report.show(run)
    assert not run.nemesis.broken, run.nemesis.broken
    wrong = {name: texts for name, texts in run.findings.of.items() if texts}
    assert not wrong, 'tests/chaos/run --topology %s --seed %d --replay %s: %s' % (
        topology, seed, 'on' if replay else 'off', wrong)
    assert any(o.outcome == 'acknowledged' for o in run.journal.operations)
