# SPDX-License-Identifier: Apache-2.0
"""A server that behaves badly on purpose: greeting, login and replies are what the test says."""
import socket
import struct
import threading

OK = b'\0\0\0\2\0\0\0'
SCRAMBLE = b'abcdefgh' + b'ijklmnopqrst'
GREETING = (b'\n5.5.5-10.11.6-MariaDB\0' + struct.pack('<I', 7) + SCRAMBLE[:8] + b'\0' +
            struct.pack('<HBHH', 0xf7fe, 45, 2, 0x81bf) + bytes([21]) + b'\0' * 6 +
            struct.pack('<I', 0) + SCRAMBLE[8:] + b'\0mysql_native_password\0')


def packet(payload, seq):
    return struct.pack('<I', len(payload) | (seq & 255) << 24) + payload


class FakeServer:
    """Accepts connections; greets and logs in, then answers each command by reply(command)."""

    def __init__(self, ip, port, greeting=packet(GREETING, 0), auth=packet(OK, 2), reply=None):
        self.greeting, self.auth, self.reply = greeting, auth, reply
        self.accepted = 0
        self.sock = socket.create_server((ip, port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    @staticmethod
    def _packet(conn):
        head = b''
        while len(head) < 4:
            got = conn.recv(4 - len(head))
            if not got:
                raise ConnectionError
            head += got
        left, body = int.from_bytes(head[:3], 'little'), b''
        while len(body) < left:
            got = conn.recv(left - len(body))
            if not got:
                raise ConnectionError
            body += got
        return body

    def _serve(self, conn):
        try:
            with conn:
                conn.sendall(self.greeting)
                self._packet(conn)
                conn.sendall(self.auth)
                while True:
                    command = self._packet(conn)
                    if command[:1] == b'\1':
                        return
                    answer = self.reply(command) if self.reply else packet(OK, 1)
                    if answer is None:          # reset
                        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                        struct.pack('ii', 1, 0))
                        return
                    conn.sendall(answer)
        except OSError:
            pass

    def close(self):
        self.sock.close()
