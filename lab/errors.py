# SPDX-License-Identifier: Apache-2.0
"""The one exception that the lab's callers have to know; its text is meant for people."""


class LabError(Exception):
    pass
