# SPDX-License-Identifier: Apache-2.0
"""Real MariaDB and Galera servers on loopback addresses, for the demo, the tests and the bench."""
from .cluster import Lab
from .errors import LabError

__all__ = ['Lab', 'LabError']
