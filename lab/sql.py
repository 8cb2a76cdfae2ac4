# SPDX-License-Identifier: Apache-2.0
"""Plain SQL for the lab itself: PyMySQL, every value as text."""
import sys

try:
    import pymysql
except ImportError:
    # a python that is not Debian's own: the package python3-pymysql is pure Python
    sys.path.append('/usr/lib/python3/dist-packages')
    import pymysql
from pymysql.constants import CLIENT

Error = pymysql.MySQLError


def connect(socket=None, host=None, port=0, user='root', password='', database=None, timeout=10):
    where = dict(unix_socket=socket) if socket else dict(host=host, port=port)
    return pymysql.connect(user=user, password=password, database=database, autocommit=True,
                           connect_timeout=timeout, read_timeout=timeout,
                           write_timeout=timeout, charset='utf8mb4',
                           conv=dict(pymysql.converters.encoders),
                           client_flag=CLIENT.MULTI_STATEMENTS, **where)


def _text(value):
    return value.decode('utf-8', 'replace') if isinstance(value, bytes) else value


def results(conn, text):
    """Run one or several statements; a list of (column names, rows) for those with a result."""
    out = []
    with conn.cursor() as cur:
        cur.execute(text)
        while True:
            if cur.description:
                names = [d[0] for d in cur.description]
                out.append((names, [[_text(v) for v in row] for row in cur.fetchall()]))
            if not cur.nextset():
                return out


def rows(conn, text):
    return [row for _, part in results(conn, text) for row in part]
