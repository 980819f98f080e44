/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

void sq_json_init(struct sq_json *json, struct sq_buf *to, const char *indent)
{
    *json = (struct sq_json){.to = to, .indent = indent};
}

static void new_line(struct sq_json *json)
{
    if (!json->indent)
        return;
    sq_buf_putc(json->to, '\n');
    for (int i = 0; i < json->depth; i++)
        sq_buf_puts(json->to, json->indent);
}

/* Whatever must stand before the next key or array element. */
static void separate(struct sq_json *json)
{
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    if (json->filled)
        sq_buf_putc(json->to, ',');
    json->filled = true;
    if (json->depth)
        new_line(json);
}

static void begin(struct sq_json *json, char bracket)
{
    separate(json);
    sq_buf_putc(json->to, bracket);
    json->depth++;
    json->filled = false;
}

static void end(struct sq_json *json, char bracket)
{
    json->depth--;
    if (json->filled)
        new_line(json);
    sq_buf_putc(json->to, bracket);
    json->filled = true; /* the one around now holds this */
}

void sq_json_object(struct sq_json *json)
{
    begin(json, '{');
}

void sq_json_object_end(struct sq_json *json)
{
    end(json, '}');
}

void sq_json_array(struct sq_json *json)
{
    begin(json, '[');
}

void sq_json_array_end(struct sq_json *json)
{
    end(json, ']');
}

void sq_json_key_slice(struct sq_json *json, struct sq_slice key)
{
    separate(json);
    sq_json_put_string(json->to, key);
    sq_buf_puts(json->to, json->indent ? ": " : ":");
    json->after_key = true;
}

void sq_json_key(struct sq_json *json, const char *key)
{
    sq_json_key_slice(json, sq_slice_str(key));
}

void sq_json_slice(struct sq_json *json, struct sq_slice text)
{
    separate(json);
    sq_json_put_string(json->to, text);
}

void sq_json_text(struct sq_json *json, const char *text)
{
    sq_json_slice(json, sq_slice_str(text));
}

void sq_json_number(struct sq_json *json, double value)
{
    separate(json);
    sq_json_put_number(json->to, value);
}

void sq_json_raw(struct sq_json *json, const char *text)
{
    separate(json);
    sq_buf_puts(json->to, text);
}

void sq_json_bool(struct sq_json *json, bool value)
{
    sq_json_raw(json, value ? "true" : "false");
}

void sq_json_null(struct sq_json *json)
{
    sq_json_raw(json, "null");
}

/* Most samples are whole numbers or milliseconds with at most 6 decimals. A decimal of at most 15
 * digits that reads back as `value` is its shortest form; the general way tries 17 precisions. */
static bool short_decimal(double value, char out[32])
{
    if (fabs(value) >= 1e9)
        return false;
    long long millionths = llround(value * 1e6);
    if ((double)millionths / 1e6 != value)
        return false;
    unsigned long long n = (unsigned long long)llabs(millionths);
    int len =
        snprintf(out, 32, "%s%llu.%06llu", millionths < 0 ? "-" : "", n / 1000000, n % 1000000);
    while (out[len - 1] == '0')
        len--;
    if (out[len - 1] == '.')
        len--;
    out[len] = '\0';
    return true;
}

void sq_json_put_number(struct sq_buf *to, double value)
{
    char text[32];

    if (!isfinite(value)) {
        sq_buf_puts(to, "null");
        return;
    }
    if (!short_decimal(value, text))
        sq_double_format(value, text);
    sq_buf_puts(to, text);
}

/* Length of the UTF-8 sequence at `p` and its code point; 0: it is not one. */
static size_t decode(const uint8_t *p, size_t left, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

    if (p[0] < 0xc2 || p[0] > 0xf4 || left < len)
        return 0;
    *code = p[0] & (0xff >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (p[i] & 0x3f);
    }
    bool surrogate = *code >= 0xd800 && *code < 0xe000;
    return *code < least[len] || *code > 0x10ffff || surrogate ? 0 : len;
}

static void put_ascii(struct sq_buf *to, uint8_t c)
{
    static const char short_forms[32] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',
    };

    if (c == '"' || c == '\\' || (c < 0x20 && short_forms[c])) {
        sq_buf_putc(to, '\\');
        sq_buf_putc(to, c < 0x20 ? short_forms[c] : (char)c);
    } else if (c < 0x20) {
        sq_buf_printf(to, "\\u%04x", c);
    } else {
        sq_buf_putc(to, (char)c);
    }
}

void sq_json_put_string(struct sq_buf *to, struct sq_slice text)
{
    size_t at = 0;

    sq_buf_putc(to, '"');
    while (at < text.len) {
        size_t plain = at;
        while (plain < text.len && text.data[plain] >= 0x20 && text.data[plain] < 0x80 &&
               text.data[plain] != '"' && text.data[plain] != '\\')
            plain++;
        sq_buf_put(to, text.data + at, plain - at);
        at = plain;
        if (at == text.len)
            break;
        if (text.data[at] < 0x80) {
            put_ascii(to, text.data[at++]);
            continue;
        }
        uint32_t code;
        size_t len = decode(text.data + at, text.len - at, &code);
        if (len == 0)
            sq_buf_puts(to, "\xef\xbf\xbd");
        else if (code == 0x2028 || code == 0x2029)
            sq_buf_printf(to, "\\u%04x", code);
        else
            sq_buf_put(to, text.data + at, len);
        at += len ? len : 1;
    }
    sq_buf_putc(to, '"');
}
