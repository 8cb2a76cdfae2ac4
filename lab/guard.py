# SPDX-License-Identifier: Apache-2.0
"""Clean-up after a caller that died: a tiny process that waits for the end of a pipe.

`watch()` is for callers whose lab must not outlive them (demo, tests).  The caller holds the pipe's
writing end; when it ends in whatever way, even by SIGKILL, the guard takes the lab down and wipes it.
"""
import os
import subprocess
import sys


def watch(directory):
    """Start the guard of a lab directory; keep the returned object alive."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return subprocess.Popen([sys.executable, '-m', 'lab.guard', directory], cwd=root,
                            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True)


def dismiss(process):
    """The caller has cleaned up itself."""
    process.stdin.close()
    process.wait()


def main():
    from .cluster import Lab
    sys.stdin.buffer.read()
    if os.path.isdir(sys.argv[1]):
        Lab(sys.argv[1]).down(wipe=True)


if __name__ == '__main__':
    main()
