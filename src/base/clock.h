/* SPDX-License-Identifier: Apache-2.0 */
/* Time. Decisions never read clocks; they get `now` as an argument. Any thread. */
#ifndef SL_BASE_CLOCK_H
#define SL_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t sl_clock_mono_us(void); /* monotonic microseconds, for durations and deadlines */
uint64_t sl_clock_mono_ms(void);
int64_t sl_clock_wall_s(void);  /* seconds since the epoch */
int64_t sl_clock_wall_ms(void); /* milliseconds since the epoch */

/* "Fri, 05 Jan 2024 07:23:54 GMT" into out (at least 30 bytes). */
void sl_clock_format_rfc1123(int64_t wall_s, char *out, size_t size);

#endif
