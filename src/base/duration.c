/* SPDX-License-Identifier: Apache-2.0 */
#include "base/duration.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    double ns;
} units[] = {
    {"ns", 1},   {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"\xce\xbcs", 1e3},
    {"ms", 1e6}, {"s", 1e9},  {"m", 60e9},        {"h", 3600e9},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One "<decimal>" at *text; advances it. */
static bool parse_decimal(const char **text, double *value)
{
    const char *p = *text;
    bool digits = false;

    while (is_digit(*p))
        p++, digits = true;
    if (*p == '.') {
        p++;
        while (is_digit(*p))
            p++, digits = true;
    }
    if (!digits || p - *text > 60)
        return false;
    char copy[64];
    memcpy(copy, *text, (size_t)(p - *text));
    copy[p - *text] = '\0';
    *value = strtod(copy, NULL);
    *text = p;
    return true;
}

static size_t match_unit(const char *p, double *ns)
{
    size_t best = 0;

    for (size_t i = 0; i < SQ_COUNT(units); i++) {
        size_t len = strlen(units[i].name);
        if (len > best && strncmp(p, units[i].name, len) == 0) {
            best = len;
            *ns = units[i].ns;
        }
    }
    return best;
}

static int store(double total, bool negative, int64_t *ns)
{
    if (!(total < 9.2e18))
        return SQ_EINVALID;
    *ns = (int64_t)(total + 0.5);
    if (negative)
        *ns = -*ns;
    return 0;
}

int sq_duration_parse(const char *text, enum sq_duration_form form, int64_t *ns)
{
    const char *p = text;
    double total = 0, value, unit;
    bool negative = *p == '-', any = false;

    if (*p == '-' || *p == '+')
        p++;
    if (form == SQ_DURATION_OPTION) {
        char *end;
        const char *q = p;
        if (parse_decimal(&q, &value) && *q == '\0')
            return store(value * 1e6, negative, ns);
        long days = is_digit(*p) ? strtol(p, &end, 10) : 0;
        if (is_digit(*p) && *end == 'd') {
            total = (double)days * 86400e9;
            p = end + 1;
            any = true;
        }
    }
    if (strcmp(p, "0") == 0)
        return store(total, negative, ns);
    while (*p) {
        size_t len;
        if (!parse_decimal(&p, &value) || (len = match_unit(p, &unit)) == 0)
            return SQ_EINVALID;
        total += value * unit;
        p += len;
        any = true;
    }
    return any ? store(total, negative, ns) : SQ_EINVALID;
}

static void put_decimal(char *out, size_t size, int64_t value, int64_t unit, const char *name)
{
    char fraction[24] = "";
    int64_t rest = value % unit;

    if (rest) {
        int width = 1;
        for (int64_t u = unit / 10; u > 1; u /= 10)
            width++;
        snprintf(fraction, sizeof fraction, ".%0*lld", SQ_MIN(width, 9), (long long)rest);
        for (char *end = fraction + width; *end == '0'; end--)
            *end = '\0';
    }
    snprintf(out, size, "%lld%s%s", (long long)(value / unit), fraction, name);
}

void sq_duration_format(int64_t ns, char out[40])
{
    size_t len = 0;

    if (ns < 0) {
        out[len++] = '-';
        ns = -ns;
    }
    if (ns == 0)
        snprintf(out + len, 40 - len, "0s");
    else if (ns < SQ_NS_PER_US)
        snprintf(out + len, 40 - len, "%lldns", (long long)ns);
    else if (ns < SQ_NS_PER_MS)
        put_decimal(out + len, 40 - len, ns, SQ_NS_PER_US, "\xc2\xb5s");
    else if (ns < SQ_NS_PER_S)
        put_decimal(out + len, 40 - len, ns, SQ_NS_PER_MS, "ms");
    else {
        int64_t hours = ns / (3600 * SQ_NS_PER_S);
        int64_t minutes = ns / (60 * SQ_NS_PER_S) % 60;
        if (hours)
            len += (size_t)snprintf(out + len, 40 - len, "%lldh", (long long)hours);
        if (hours || minutes)
            len += (size_t)snprintf(out + len, 40 - len, "%lldm", (long long)minutes);
        put_decimal(out + len, 40 - len, ns % (60 * SQ_NS_PER_S), SQ_NS_PER_S, "s");
    }
}
