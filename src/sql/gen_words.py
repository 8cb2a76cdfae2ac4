#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes words.h (enum of word ids) and words_table.h (perfect hash) from words.txt.

Usage: gen_words.py words.txt words.h words_table.h

Two-level "hash and displace": the top byte of a multiplicative hash picks a bucket, the bucket's
displacement moves the lower bits to a slot of its own. lexer.c computes the same hash (word_find).
"""
import struct
import sys

MULTIPLIER = 0x9E3779B97F4A7C15
MASK64 = (1 << 64) - 1
SLOTS = 2048
BUCKETS = 256
FLAGS = {'k': 'SL_WORD_KEYWORD', 'f': 'SL_WORD_SAFE', 's': 'SL_WORD_ADJACENT',
         'p': 'SL_WORD_PRIMARY', 'g': 'SL_WORD_LOCK', 'l': 'SL_WORD_LAST', 'r': 'SL_WORD_RESERVED'}


def fold(data):
    return bytes(b | 0x20 for b in data)


def keys(word):
    """Two integers that hold the whole word up to 16 bytes, else its first and last 8."""
    data = fold(word.encode())
    n = len(data)
    if n >= 8:
        return struct.unpack('<Q', data[:8])[0], struct.unpack('<Q', data[-8:])[0]
    if n >= 4:
        return struct.unpack('<I', data[:4])[0], struct.unpack('<I', data[-4:])[0]
    return data[0] | data[n // 2] << 8 | data[n - 1] << 16, 0


def mix(word):
    a, b = keys(word)
    h = (a ^ ((b << 31 | b >> 33) & MASK64) ^ len(word)) * MULTIPLIER & MASK64
    return (h ^ h >> 29) * MULTIPLIER & MASK64


def place(words):
    buckets = [[] for _ in range(BUCKETS)]
    for index, (word, _) in enumerate(words):
        h = mix(word)
        buckets[h >> 56].append((index, h >> 32))
    slots = [None] * SLOTS
    moves = [0] * BUCKETS
    for number in sorted(range(BUCKETS), key=lambda b: -len(buckets[b])):
        for move in range(SLOTS):
            spots = [(h + move) % SLOTS for _, h in buckets[number]]
            if len(set(spots)) == len(spots) and all(slots[s] is None for s in spots):
                moves[number] = move
                for (index, _), spot in zip(buckets[number], spots):
                    slots[spot] = index
                break
        else:
            sys.exit('gen_words.py: no place for bucket %d' % number)
    return slots, moves


def rows(values, per_line=16):
    for i in range(0, len(values), per_line):
        yield '    ' + ', '.join(str(v) for v in values[i:i + per_line]) + ','


def main(source, enum_path, table_path):
    words = []
    with open(source, encoding='ascii') as f:
        for line in f:
            if not line.startswith('#') and line.strip():
                word, flags = line.split()
                words.append((word, flags.replace('-', '')))
    slots, moves = place(words)
    head = '/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by gen_words.py from words.txt. */\n'
    with open(enum_path, 'w', encoding='ascii') as f:
        f.write(head + '#ifndef SL_SQL_WORDS_H\n#define SL_SQL_WORDS_H\n\nenum sl_word {\n    SL_W_NONE,\n')
        for word, _ in words:
            f.write('    SL_W_%s,\n' % word.upper())
        f.write('    SL_WORDS_COUNT\n};\n\n#endif\n')
    with open(table_path, 'w', encoding='ascii') as f:
        f.write(head + 'static const struct word_row word_rows[SL_WORDS_COUNT] = {\n    {0, 0, "", 0, 0},\n')
        for word, flags in words:
            a, b = keys(word)
            bits = ' | '.join(FLAGS[c] for c in flags) or '0'
            f.write('    {0x%xu, 0x%xu, "%s", %d, %s},\n' % (a, b, word, len(word), bits))
        f.write('};\n\nstatic const uint16_t word_slots[%d] = {\n' % SLOTS)
        f.write('\n'.join(rows([0 if s is None else s + 1 for s in slots])))
        f.write('\n};\n\nstatic const uint16_t word_moves[%d] = {\n' % BUCKETS)
        f.write('\n'.join(rows(moves)) + '\n};\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
