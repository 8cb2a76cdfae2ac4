# SPDX-License-Identifier: Apache-2.0
"""The same bytes with and without the proxy: short runs of tests/differential, and what it found."""
import os
import sys

import pytest

from sealane import ROOT

sys.path.append(os.path.join(ROOT, 'tests', 'differential'))
import differential                              # noqa: E402  (the path has to be set first)


@pytest.fixture
def fuzz(make_sealane, request):
    """Direct and proxied connections to one server, or to a cluster whose replicas are read."""
    labs = []

    def make(lab, topology):
        labs.append(differential.ready(lab, make_sealane(lab, start=False), topology))
        return labs[-1]
    yield make
    for f in labs:
        f.pair.restore()


def same(fuzz, *steps):
    """Plays the steps on both sides."""
    try:
        fuzz.pair.play('regression', list(steps))
    except differential.Difference as d:
        differential.tell('regression', d)
        pytest.fail('the proxy answers otherwise (see above)')


@pytest.mark.parametrize('topology, seed, streams', [('single', 101, 80), ('galera', 102, 50)])
def test_streams(fuzz, request, topology, seed, streams):
    lab = request.getfixturevalue('single' if topology == 'single' else 'cluster')
    f = fuzz(lab, topology)
    f.go(seed, 15, most=2, streams=streams, least=2)
    assert not f.found, 'seeds %s (see above)' % [s for s, _ in f.found]
    assert f.steps > 100


def test_statement_ids_that_are_unknown(fuzz, single):
    """The texts name the server's function, and a statement without cursor is told so."""
    same(fuzz(single, 'single'), ('execute', 'none'), ('fetch', 'none', 1), ('reset', 'none'),
         ('prepare', 's', 'SELECT 1'), ('fetch', 's', 1), ('execute', 's', [], 1), ('fetch', 's', 5),
         ('fetch', 's', 5), ('close', 's'), ('execute', 's'))


@pytest.mark.parametrize('begin', [('change_user', '{db}'), ('reset_connection',)])
@pytest.mark.parametrize('option', [0, 1, 9])
def test_multi_statement_option_outlives_a_new_begin(fuzz, single, begin, option):
    same(fuzz(single, 'single'), ('set_option', option), begin,
         ('query', 'SELECT 1; SELECT 2'), ('set_option', 1 - option % 2), ('query', 'SELECT 1; SELECT 2'))


def test_or_replace_makes_a_temporary_table_too(fuzz, cluster):
    """What is behind OR REPLACE was taken for the table's name, and reads went to replicas."""
    same(fuzz(cluster, 'galera'), ('query', 'CREATE OR REPLACE TEMPORARY TABLE x AS SELECT 1 AS id'),
         ('query', 'SELECT * FROM x'), ('query', 'SHOW COLUMNS FROM x'), ('query', 'DROP TABLE x'))


def test_read_only_transactions_see_temporary_tables(fuzz, cluster):
    """They are on the primary, so that is where such a transaction runs."""
    same(fuzz(cluster, 'galera'), ('query', 'CREATE TEMPORARY TABLE x (id INT)'),
         ('query', 'START TRANSACTION READ ONLY'), ('query', 'INSERT INTO x VALUES (1)'),
         ('query', 'SELECT * FROM x'), ('query', 'COMMIT'))


def test_reads_under_lock_tables_go_to_the_primary(fuzz, cluster):
    """Under LOCK TABLES a session sees the locked tables only; a replica knows of no lock."""
    refused = ('query', 'SELECT COUNT(*) FROM u')
    f = fuzz(cluster, 'galera')
    same(f, ('query', 'CREATE TABLE t (id INT PRIMARY KEY)'), ('query', 'CREATE TABLE u (id INT PRIMARY KEY)'),
         ('query', 'LOCK TABLES t READ'), refused, ('ping',), refused, ('query', 'SELECT COUNT(*) FROM t'),
         ('query', 'LOCK TABLES nowhere READ'), refused, ('query', 'LOCK TABLES t READ'), refused,
         ('query', 'UNLOCK TABLES'), refused, ('query', 'LOCK TABLES t READ'), ('query', 'BEGIN'), refused,
         ('query', 'COMMIT'), refused)
