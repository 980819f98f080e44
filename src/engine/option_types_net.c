/* SPDX-License-Identifier: Apache-2.0 */
/* Option values about the network: addresses, hosts, TLS, DNS. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/duration.h"
#include "base/text.h"
#include "engine/option_types.h"

static bool is_address(const char *text, int *family)
{
    unsigned char bytes[16];

    *family = inet_pton(AF_INET, text, bytes) == 1    ? AF_INET
              : inet_pton(AF_INET6, text, bytes) == 1 ? AF_INET6
                                                      : 0;
    return *family != 0;
}

static bool is_cidr(const char *text)
{
    const char *slash = strchr(text, '/');
    char address[64], *end;
    int family;

    if (!slash || slash - text >= (long)sizeof address || slash[1] < '0' || slash[1] > '9')
        return false;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    long bits = strtol(slash + 1, &end, 10);
    return is_address(address, &family) && *end == '\0' && bits <= (family == AF_INET ? 32 : 128);
}

int sq_set_cidrs(struct sq_config *config, const struct sq_option *o, json_t *value, json_t **shown,
                 struct sq_error *err)
{
    int rc = sq_set_list(config, o, value, shown, err);

    return rc < 0 ? rc
                  : sq_value_check_each(value, err, is_cidr,
                                        "an address range in CIDR form, 10.0.0.0/8");
}

/* The suites of TLS 1.0 to 1.3 that clients in use offer, by their IANA names. */
static bool is_cipher(const char *text)
{
    static const char *const exchanges[] = {"TLS_RSA_WITH_", "TLS_ECDHE_RSA_WITH_",
                                            "TLS_ECDHE_ECDSA_WITH_", "TLS_DHE_RSA_WITH_", "TLS_"};
    static const char *const ciphers[] = {
        "RC4_128_SHA",        "3DES_EDE_CBC_SHA",         "AES_128_CBC_SHA",
        "AES_256_CBC_SHA",    "AES_128_CBC_SHA256",       "AES_256_CBC_SHA256",
        "AES_256_CBC_SHA384", "CHACHA20_POLY1305",        "AES_128_CCM",
        "AES_128_GCM_SHA256", "CHACHA20_POLY1305_SHA256", "AES_256_CCM",
        "AES_256_GCM_SHA384", "CAMELLIA_128_GCM_SHA256",  "CAMELLIA_256_GCM_SHA384",
    };
    static const char *const plain[] = {"AES_128_GCM_SHA256", "AES_256_GCM_SHA384",
                                        "CHACHA20_POLY1305_SHA256", "AES_128_CCM_SHA256"};

    for (size_t e = 0; e < SQ_COUNT(exchanges); e++) {
        if (!sq_text_starts(text, exchanges[e]))
            continue;
        const char *rest = text + strlen(exchanges[e]);
        bool tls13 = e + 1 == SQ_COUNT(exchanges);
        const char *const *list = tls13 ? plain : ciphers;
        size_t count = tls13 ? SQ_COUNT(plain) : SQ_COUNT(ciphers);
        for (size_t c = 0; c < count; c++)
            if (strcmp(rest, list[c]) == 0)
                return true;
    }
    return false;
}

int sq_set_ciphers(struct sq_config *config, const struct sq_option *o, json_t *value,
                   json_t **shown, struct sq_error *err)
{
    int rc = sq_set_list(config, o, value, shown, err);

    return rc < 0 ? rc : sq_value_check_each(value, err, is_cipher, "a cipher suite's IANA name");
}

static bool is_address_range(struct sq_slice part)
{
    char text[128], *dash;
    int left, right;

    if (part.len == 0 || part.len >= sizeof text)
        return false;
    memcpy(text, part.data, part.len);
    text[part.len] = '\0';
    if (strchr(text, '/'))
        return is_cidr(text);
    if (!(dash = strchr(text, '-')))
        return is_address(text, &left);
    *dash = '\0';
    return is_address(text, &left) && is_address(dash + 1, &right) && left == right;
}

int sq_set_addresses(struct sq_config *config, const struct sq_option *o, json_t *value,
                     json_t **shown, struct sq_error *err)
{
    const char *text = json_string_value(value);

    if (!text)
        return sq_value_refuse(value, err, "a string");
    for (const char *p = text; *p || p == text;) {
        size_t len = strcspn(p, ",");
        if (!is_address_range(sq_slice_trim(sq_slice(p, len))))
            return sq_value_refuse(value, err, "a list of addresses, ranges a-b and CIDRs");
        if (!p[len])
            break;
        p += len + 1;
    }
    return sq_set_text(config, o, value, shown, err);
}

static bool is_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);

    return *text >= '0' && *text <= '9' && *end == '\0' && port > 0 && port < 65536;
}

/* "1.2.3.4", "1.2.3.4:80", "::1", "[::1]", "[::1]:80" */
static bool is_target(const char *text)
{
    char copy[80];
    int family;

    if (is_address(text, &family))
        return true;
    if (strlen(text) >= sizeof copy)
        return false;
    strcpy(copy, text);
    char *close = strrchr(copy, ']'), *colon = strrchr(copy, ':');
    if (*copy == '[' && close) {
        *close = '\0';
        return is_address(copy + 1, &family) && family == AF_INET6 &&
               (close[1] == '\0' || (close[1] == ':' && is_port(close + 2)));
    }
    if (!colon || !is_port(colon + 1))
        return false;
    *colon = '\0';
    return is_address(copy, &family) && family == AF_INET;
}

int sq_set_hosts(struct sq_config *config, const struct sq_option *o, json_t *value, json_t **shown,
                 struct sq_error *err)
{
    const char *key;
    json_t *item;
    int rc = sq_set_pairs(config, o, value, shown, err);

    if (rc < 0)
        return rc;
    json_object_foreach(value, key, item)
    {
        if (*key == '\0' || (strchr(key + 1, '*') != NULL) || (*key == '*' && key[1] != '.'))
            return sq_error_set(err, SQ_EINVALID,
                                "'%.200s' is not a host name, optionally led by *.", key);
        if (!is_target(json_string_value(item)))
            return sq_value_refuse(item, err, "an IP address, optionally with a port");
    }
    return 0;
}

static int set_tls_version_text(const json_t *value, char **out, struct sq_error *err)
{
    static const char choices[] = "|ssl3.0|tls1.0|tls1.1|tls1.2|tls1.3";

    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value) || sq_value_choice(choices, json_string_value(value)) < 0)
        return sq_value_refuse(value, err, "one of ssl3.0, tls1.0, tls1.1, tls1.2, tls1.3");
    if (*json_string_value(value))
        *out = sq_xstrdup(json_string_value(value));
    return 0;
}

int sq_set_tls_version(struct sq_config *config, const struct sq_option *o, json_t *value,
                       json_t **shown, struct sq_error *err)
{
    const json_t *min = value, *max = value;
    int rc;

    (void)o;
    if (json_is_object(value)) {
        min = json_object_get(value, "min");
        max = json_object_get(value, "max");
    }
    if ((rc = set_tls_version_text(min, &config->tls_version_min, err)) < 0 ||
        (rc = set_tls_version_text(max, &config->tls_version_max, err)) < 0)
        return rc;
    if (config->tls_version_min && config->tls_version_max &&
        strcmp(config->tls_version_min, config->tls_version_max) > 0)
        return sq_value_refuse(value, err, "a range: min is above max");
    *shown = json_pack("{s:s, s:s}", "min", config->tls_version_min ? config->tls_version_min : "",
                       "max", config->tls_version_max ? config->tls_version_max : "");
    return 0;
}

void sq_clear_tls_version(struct sq_config *config, const struct sq_option *o)
{
    (void)o;
    free(config->tls_version_min);
    free(config->tls_version_max);
    config->tls_version_min = config->tls_version_max = NULL;
}

static int take_text(const json_t *object, const char *key, char **out, struct sq_error *err)
{
    const json_t *value = json_object_get(object, key);

    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return sq_error_set(err, SQ_EINVALID, "'%s' is not a string", key);
    *out = sq_xstrdup(json_string_value(value));
    return 0;
}

static int read_client_cert(const json_t *value, struct sq_client_cert_source *out,
                            struct sq_error *err)
{
    const json_t *domains = json_object_get(value, "domains"), *item;
    size_t i;
    int rc;

    if (!json_is_object(value))
        return sq_error_set(err, SQ_EINVALID, "an entry is not an object {cert, key}");
    if ((rc = take_text(value, "cert", &out->cert, err)) < 0 ||
        (rc = take_text(value, "key", &out->key, err)) < 0 ||
        (rc = take_text(value, "password", &out->password, err)) < 0)
        return rc;
    if (!out->cert || !out->key)
        return sq_error_set(err, SQ_EINVALID, "an entry needs 'cert' and 'key', PEM text");
    if (!domains || json_is_null(domains))
        return 0;
    if (!json_is_array(domains))
        return sq_value_refuse(domains, err, "a list of domains");
    out->domains = sq_xcalloc(json_array_size(domains) + 1, sizeof *out->domains);
    json_array_foreach(domains, i, item)
    {
        if (!json_is_string(item))
            return sq_value_refuse(item, err, "a domain");
        out->domains[i] = sq_xstrdup(json_string_value(item));
    }
    return 0;
}

int sq_set_tls_auth(struct sq_config *config, const struct sq_option *o, json_t *value,
                    json_t **shown, struct sq_error *err)
{
    json_t *item;
    size_t i;

    (void)o, (void)shown;
    if (!json_is_array(value))
        return sq_error_set(err, SQ_EINVALID, "not a list of {cert, key}");
    config->tls_auth = sq_xcalloc(json_array_size(value) + 1, sizeof *config->tls_auth);
    json_array_foreach(value, i, item)
    {
        int rc = read_client_cert(item, &config->tls_auth[config->tls_auth_count++], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void sq_clear_tls_auth(struct sq_config *config, const struct sq_option *o)
{
    (void)o;
    for (size_t i = 0; i < config->tls_auth_count; i++) {
        struct sq_client_cert_source *c = &config->tls_auth[i];
        for (char **domain = c->domains; domain && *domain; domain++)
            free(*domain);
        free(c->domains);
        free(c->cert);
        free(c->key);
        free(c->password);
    }
    free(config->tls_auth);
    config->tls_auth = NULL;
    config->tls_auth_count = 0;
}

static json_t *dns_from_text(const char *text, struct sq_error *err)
{
    json_t *rules = json_object();

    for (const char *p = text; *p;) {
        size_t len = strcspn(p, ",");
        const char *equals = memchr(p, '=', len);
        size_t key_len = equals ? (size_t)(equals - p) : 0;
        if (!equals || !sq_value_add_pair(rules, p, key_len, equals + 1, len - key_len - 1, err)) {
            json_decref(rules);
            return sq_value_refuse_text(text, err, "DNS rules such as ttl=5m,select=random");
        }
        p += len + (p[len] == ',');
    }
    return rules;
}

json_t *sq_text_dns(const struct sq_option *o, const struct sq_texts *in, struct sq_error *err)
{
    (void)o;
    return dns_from_text(sq_texts_last(in), err);
}

static bool is_dns_ttl(const json_t *value)
{
    int64_t ns;

    if (json_is_string(value) && (strcmp(json_string_value(value), "inf") == 0 ||
                                  strcmp(json_string_value(value), "0") == 0))
        return true;
    return sq_json_to_duration(value, &ns) && ns >= 0;
}

static void replace_text(char **to, const json_t *value)
{
    char number[32];

    free(*to);
    snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    *to = sq_xstrdup(json_is_string(value) ? json_string_value(value) : number);
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

/* The three rules are independent: a level replaces only those that it names (ENG-70). */
static int set_dns_rules(struct sq_config *config, const json_t *rules, struct sq_error *err)
{
    static const char selects[] = "first|random|roundRobin",
                      policies[] = "preferIPv4|preferIPv6|onlyIPv4|onlyIPv6|any";
    const char *key;
    json_t *item;

    json_object_foreach((json_t *)rules, key, item)
    {
        const char *text = json_string_value(item);
        if (json_is_null(item))
            continue;
        if (strcmp(key, "ttl") == 0) {
            if (!is_dns_ttl(item))
                return sq_value_refuse(item, err, "a DNS ttl: inf, 0 or a duration");
            replace_text(&config->dns_ttl, item);
        } else if (strcmp(key, "select") == 0) {
            if (!text || sq_value_choice(selects, text) < 0)
                return sq_value_refuse(item, err, "a DNS select: first, random or roundRobin");
            replace_text(&config->dns_select, item);
        } else if (strcmp(key, "policy") == 0) {
            if (!text || sq_value_choice(policies, text) < 0)
                return sq_value_refuse(
                    item, err, "a DNS policy: preferIPv4, preferIPv6, onlyIPv4, onlyIPv6 or any");
            replace_text(&config->dns_policy, item);
        } else {
            return sq_error_set(err, SQ_EINVALID, "'%.100s' is not ttl, select or policy", key);
        }
    }
    return 0;
}

int sq_set_dns(struct sq_config *config, const struct sq_option *o, json_t *value, json_t **shown,
               struct sq_error *err)
{
    json_t *rules =
        json_is_string(value) ? dns_from_text(json_string_value(value), err) : json_incref(value);
    int rc;

    (void)o;
    if (!rules)
        return SQ_EINVALID;
    rc = json_is_object(rules) ? set_dns_rules(config, rules, err)
                               : sq_value_refuse(rules, err, "an object {ttl, select, policy}");
    json_decref(rules);
    *shown =
        json_pack("{s:o, s:o, s:o}", "ttl", text_or_null(config->dns_ttl), "select",
                  text_or_null(config->dns_select), "policy", text_or_null(config->dns_policy));
    return rc;
}

void sq_clear_dns(struct sq_config *config, const struct sq_option *o)
{
    (void)o;
    free(config->dns_ttl);
    free(config->dns_select);
    free(config->dns_policy);
    config->dns_ttl = config->dns_select = config->dns_policy = NULL;
}
