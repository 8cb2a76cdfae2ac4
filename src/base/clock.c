/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks of the machine. Owns nothing; any thread; independent of locale and time zone. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#include "base/assert.h"

uint64_t sl_clock_mono_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t sl_clock_mono_ms(void)
{
    return sl_clock_mono_us() / 1000;
}

int64_t sl_clock_wall_s(void)
{
    return (int64_t)time(NULL);
}

int64_t sl_clock_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Day and month names are spelled out because strftime(3) would follow the locale. RFC 9110 5.6.7
 * asks for exactly these. */
void sl_clock_format_rfc1123(int64_t wall_s, char *out, size_t size)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    sl_assert(size > 0);
    time_t when = (time_t)wall_s;
    struct tm t;
    if (!gmtime_r(&when, &t)) {
        out[0] = '\0';
        return;
    }
    snprintf(out, size, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday], t.tm_mday,
             months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}
