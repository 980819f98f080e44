/* SPDX-License-Identifier: Apache-2.0 */
/* CSS selectors over libxml2's trees: type, #id, .class, [attribute] with = ~= |= ^= $= *=, the
 * pseudo-classes of the table below, the combinators ' ' > + ~ and lists. A compound is matched
 * from the right; its depth is bounded. */
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "js/http/k6_html.h"

enum { COMPOUNDS_MAX = 32, PARTS_MAX = 32, NESTING_MAX = 4 };

enum part_kind {
    ANY,
    TYPE,
    ID,
    CLASS,
    ATTRIBUTE,
    FIRST_CHILD,
    LAST_CHILD,
    ONLY_CHILD,
    NTH_CHILD,
    EMPTY,
    CONTAINS,
    NOT,
    HAS,
};

struct part {
    enum part_kind kind;
    char *name, *value;
    char operation; /* of ATTRIBUTE: 0 present, =, ~, |, ^, $, * */
    int a, b;       /* an + b */
    struct html_selector *inner;
};

struct compound {
    struct part *parts;
    size_t count;
    char combinator; /* to the compound at its left; 0: none */
};

struct complex_selector {
    struct compound *compounds;
    size_t count;
};

struct html_selector {
    struct complex_selector *items; /* of the list */
    size_t count;
};

void html_selector_free(struct html_selector *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        for (size_t k = 0; k < s->items[i].count; k++) {
            struct compound *c = &s->items[i].compounds[k];
            for (size_t p = 0; p < c->count; p++) {
                free(c->parts[p].name);
                free(c->parts[p].value);
                html_selector_free(c->parts[p].inner);
            }
            free(c->parts);
        }
        free(s->items[i].compounds);
    }
    free(s->items);
    free(s);
}

/* ---- parsing ---- */

struct input {
    const char *p;
    int nesting;
};

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || (unsigned char)c >= 0x80;
}

static void skip_space(struct input *in)
{
    while (*in->p && strchr(" \t\r\n\f", *in->p))
        in->p++;
}

/* Owned. NULL: there is no name. */
static char *take_name(struct input *in)
{
    struct sq_buf out = {0};

    while (is_name(*in->p) || (*in->p == '\\' && in->p[1])) {
        in->p += *in->p == '\\';
        sq_buf_putc(&out, *in->p++);
    }
    return out.len ? sq_buf_steal(&out) : NULL;
}

static char *take_string(struct input *in)
{
    struct sq_buf out = {0};
    char quote = *in->p++;

    while (*in->p && *in->p != quote) {
        in->p += *in->p == '\\' && in->p[1];
        sq_buf_putc(&out, *in->p++);
    }
    if (*in->p)
        in->p++;
    return sq_buf_steal(&out);
}

static char *take_value(struct input *in)
{
    return *in->p == '"' || *in->p == '\'' ? take_string(in) : take_name(in);
}

static bool take_attribute(struct input *in, struct part *part)
{
    part->kind = ATTRIBUTE;
    skip_space(in);
    part->name = take_name(in);
    skip_space(in);
    if (*in->p && strchr("~|^$*=", *in->p)) {
        part->operation = *in->p++;
        if (part->operation != '=' && *in->p++ != '=')
            return false;
        skip_space(in);
        part->value = take_value(in);
        skip_space(in);
    }
    return part->name && (!part->operation || part->value) && *in->p++ == ']';
}

/* odd, even, 3, 2n, 2n+1, -n+3 */
static bool take_nth(struct input *in, struct part *part)
{
    int sign = 1, number = 0;
    bool digits = false;

    skip_space(in);
    if (strncasecmp(in->p, "odd", 3) == 0 || strncasecmp(in->p, "even", 4) == 0) {
        part->a = 2;
        part->b = tolower((unsigned char)*in->p) == 'o';
        in->p += part->b ? 3 : 4;
        return true;
    }
    for (int round = 0; round < 2; round++) {
        skip_space(in);
        sign = *in->p == '-' ? -1 : 1;
        if (*in->p == '-' || *in->p == '+')
            in->p++;
        else if (round)
            return true;
        skip_space(in);
        for (number = 0, digits = false; isdigit((unsigned char)*in->p); in->p++, digits = true)
            number = SQ_MIN(number * 10 + (*in->p - '0'), 1000000);
        if (round || tolower((unsigned char)*in->p) != 'n')
            break;
        part->a = sign * (digits ? number : 1);
        in->p++;
    }
    part->b = sign * number;
    return digits;
}

static struct html_selector *take_list(struct input *in);

static bool take_pseudo(struct input *in, struct part *part)
{
    static const struct {
        const char *name;
        enum part_kind kind;
        bool argument;
    } pseudos[] = {
        {"first-child", FIRST_CHILD, false},
        {"last-child", LAST_CHILD, false},
        {"only-child", ONLY_CHILD, false},
        {"nth-child", NTH_CHILD, true},
        {"empty", EMPTY, false},
        {"contains", CONTAINS, true},
        {"not", NOT, true},
        {"has", HAS, true},
    };
    char *name = take_name(in);
    size_t i = 0;
    bool ok = false;

    for (; name && i < SQ_COUNT(pseudos); i++)
        if (strcasecmp(pseudos[i].name, name) == 0)
            break;
    free(name);
    if (!name || i == SQ_COUNT(pseudos) || (*in->p == '(') != pseudos[i].argument)
        return false;
    part->kind = pseudos[i].kind;
    if (!pseudos[i].argument)
        return true;
    in->p++;
    skip_space(in);
    if (part->kind == NTH_CHILD) {
        ok = take_nth(in, part);
    } else if (part->kind == CONTAINS) {
        ok = (part->value = take_value(in)) != NULL;
    } else if (in->nesting < NESTING_MAX) {
        in->nesting++;
        ok = (part->inner = take_list(in)) != NULL;
        in->nesting--;
    }
    skip_space(in);
    return ok && *in->p++ == ')';
}

static bool take_part(struct input *in, struct part *part)
{
    switch (*in->p) {
    case '*':
        in->p++;
        part->kind = ANY;
        return true;
    case '#':
        in->p++;
        part->kind = ID;
        break;
    case '.':
        in->p++;
        part->kind = CLASS;
        break;
    case '[':
        in->p++;
        return take_attribute(in, part);
    case ':':
        in->p++;
        return take_pseudo(in, part);
    default:
        part->kind = TYPE;
    }
    part->name = take_name(in);
    return part->name != NULL;
}

static bool take_compound(struct input *in, struct compound *c)
{
    do {
        if (c->count == PARTS_MAX)
            return false;
        c->parts = sq_xrealloc(c->parts, (c->count + 1) * sizeof *c->parts);
        struct part *part = &c->parts[c->count++];
        *part = (struct part){0};
        if (!take_part(in, part))
            return false;
    } while (*in->p && strchr("#.[:", *in->p));
    return true;
}

/* The combinator before the next compound; 0: the selector ends here. */
static char take_combinator(struct input *in)
{
    const char *before = in->p;

    skip_space(in);
    if (*in->p && strchr(">+~", *in->p)) {
        char c = *in->p++;
        skip_space(in);
        return c;
    }
    return before != in->p && *in->p && !strchr(",)", *in->p) ? ' ' : 0;
}

static bool take_complex(struct input *in, struct complex_selector *s)
{
    char combinator = 0;

    skip_space(in);
    do {
        if (s->count == COMPOUNDS_MAX)
            return false;
        s->compounds = sq_xrealloc(s->compounds, (s->count + 1) * sizeof *s->compounds);
        struct compound *c = &s->compounds[s->count++];
        *c = (struct compound){.combinator = combinator};
        if (!take_compound(in, c))
            return false;
    } while ((combinator = take_combinator(in)));
    return true;
}

static struct html_selector *take_list(struct input *in)
{
    struct html_selector *s = sq_xcalloc(1, sizeof *s);

    do {
        s->items = sq_xrealloc(s->items, (s->count + 1) * sizeof *s->items);
        struct complex_selector *item = &s->items[s->count++];
        *item = (struct complex_selector){0};
        if (!take_complex(in, item)) {
            html_selector_free(s);
            return NULL;
        }
    } while (*in->p == ',' && in->p++);
    return s;
}

struct html_selector *html_selector_new(const char *text, struct sq_error *err)
{
    struct input in = {text, 0};
    struct html_selector *s = take_list(&in);

    if (s && !*in.p)
        return s;
    html_selector_free(s);
    sq_error_set(err, SQ_EINVALID,
                 "the selector '%.200s' is wrong, or more than k6/html here knows", text);
    return NULL;
}

/* ---- matching ---- */

static const xmlNode *element_before(const xmlNode *n)
{
    for (n = n->prev; n && !html_is_element(n); n = n->prev)
        ;
    return n;
}

static const xmlNode *element_after(const xmlNode *n)
{
    for (n = n->next; n && !html_is_element(n); n = n->next)
        ;
    return n;
}

static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);

    for (const char *p = text; len && *p;) {
        size_t skip = strspn(p, " \t\r\n\f"), size = strcspn(p + skip, " \t\r\n\f");
        if (size == len && memcmp(p + skip, word, len) == 0)
            return true;
        p += skip + size;
    }
    return false;
}

static bool compare(const char *text, char operation, const char *value)
{
    size_t len = strlen(text), want = value ? strlen(value) : 0;

    switch (operation) {
    case 0:
        return true;
    case '=':
        return strcmp(text, value) == 0;
    case '~':
        return has_word(text, value);
    case '|':
        return strncmp(text, value, want) == 0 && (!text[want] || text[want] == '-');
    case '^':
        return want && strncmp(text, value, want) == 0;
    case '$':
        return want && len >= want && strcmp(text + len - want, value) == 0;
    default:
        return want && strstr(text, value);
    }
}

static bool attribute_matches(const xmlNode *n, const char *name, char operation, const char *value)
{
    struct sq_buf text = {0};
    bool is = html_attribute(n, name, &text) && compare(sq_buf_cstr(&text), operation, value);

    sq_buf_deinit(&text);
    return is;
}

static bool nth_matches(const xmlNode *n, int a, int b)
{
    int index = 1;

    while ((n = element_before(n)))
        index++;
    return a == 0 ? index == b : (index - b) % a == 0 && (index - b) / a >= 0;
}

static bool contains(const xmlNode *n, const char *value)
{
    struct sq_buf text = {0};

    html_text(n, &text);
    bool is = strstr(sq_buf_cstr(&text), value) != NULL;
    sq_buf_deinit(&text);
    return is;
}

static bool has_inside(const xmlNode *node, const struct html_selector *s)
{
    for (const xmlNode *n = html_next_node(node, node); n; n = html_next_node(n, node))
        if (html_selector_matches(s, n))
            return true;
    return false;
}

static bool is_empty(const xmlNode *node)
{
    for (const xmlNode *n = node->children; n; n = n->next)
        if (n->type != XML_COMMENT_NODE)
            return false;
    return true;
}

static bool part_matches(const struct part *part, const xmlNode *n)
{
    switch (part->kind) {
    case ANY:
        return true;
    case TYPE:
        return strcasecmp((const char *)n->name, part->name) == 0;
    case ID:
        return attribute_matches(n, "id", '=', part->name);
    case CLASS:
        return attribute_matches(n, "class", '~', part->name);
    case ATTRIBUTE:
        return attribute_matches(n, part->name, part->operation, part->value);
    case FIRST_CHILD:
        return !element_before(n);
    case LAST_CHILD:
        return !element_after(n);
    case ONLY_CHILD:
        return !element_before(n) && !element_after(n);
    case NTH_CHILD:
        return nth_matches(n, part->a, part->b);
    case EMPTY:
        return is_empty(n);
    case CONTAINS:
        return contains(n, part->value);
    case NOT:
        return !html_selector_matches(part->inner, n);
    case HAS:
        return has_inside(n, part->inner);
    }
    return false;
}

/* How far a failure reaches: with no more siblings or ancestors to try, a combinator further right
 * need not try others either. It keeps long chains over deep documents from going exponential. */
enum outcome { MATCHES, FAILS, FAILS_SIBLINGS, FAILS_ANCESTORS };

/* Whether compounds 0..last match with the last one at `n`. */
static enum outcome chain_matches(const struct complex_selector *s, size_t last, const xmlNode *n)
{
    const struct compound *c = &s->compounds[last];

    for (size_t i = 0; i < c->count; i++)
        if (!part_matches(&c->parts[i], n))
            return FAILS;
    if (!last)
        return MATCHES;
    bool sibling = c->combinator == '+' || c->combinator == '~';
    bool once = c->combinator == '+' || c->combinator == '>';
    do {
        n = sibling ? element_before(n) : n->parent;
        if (!html_is_element(n))
            return sibling ? FAILS_SIBLINGS : FAILS_ANCESTORS;
        enum outcome left = chain_matches(s, last - 1, n);
        if (left == MATCHES || left == FAILS_ANCESTORS || (sibling && left == FAILS_SIBLINGS))
            return left;
    } while (!once);
    return FAILS;
}

bool html_selector_matches(const struct html_selector *s, const xmlNode *node)
{
    for (size_t i = 0; html_is_element(node) && i < s->count; i++)
        if (chain_matches(&s->items[i], s->items[i].count - 1, node) == MATCHES)
            return true;
    return false;
}
